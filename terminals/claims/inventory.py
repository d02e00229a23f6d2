"""What a terminal tells of itself in `PUT inventory` (protocol §6)."""

from __future__ import annotations

from dataclasses import dataclass

from terminals.claims.reading import OPERATOR, Claims, bad, flag, integer, member, optional, text
from terminals.protocol import OPERATORS_MAX


@dataclass(frozen=True, slots=True)
class InventoryOperator:
    """One operator as the terminal knows it; never a password."""

    op: str
    role: str
    locked: bool
    age_days: int | None
    tries_left: int
    weak: str | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """`PUT inventory`: operators and condition of the machine."""

    operators: tuple[InventoryOperator, ...]
    fw: str
    app: str | None
    battery: int | None
    charging: bool | None
    network: str | None
    unsettled_batch: bool | None
    tamper: bool | None


def parse_inventory(body: Claims) -> Inventory:
    """Read `{"inventory": {...}}`."""
    inventory = member(body, "inventory")
    operators = inventory.get("operators")
    if not isinstance(operators, list) or len(operators) > OPERATORS_MAX:
        raise bad("operators", f"a list of at most {OPERATORS_MAX}")
    read = tuple(_inventory_operator({"operator": item}) for item in operators)
    if len({operator.op for operator in read}) != len(read):
        raise bad("operators", "each number once")
    return Inventory(
        operators=read,
        fw=text(inventory, "fw", limit=40),
        app=optional(inventory, "app", lambda: text(inventory, "app", limit=40)),
        battery=optional(inventory, "battery", lambda: integer(inventory, "battery", 0, 100)),
        charging=optional(inventory, "charging", lambda: flag(inventory, "charging")),
        network=optional(
            inventory, "network", lambda: text(inventory, "network", pattern="ethernet|wifi|cellular")
        ),
        unsettled_batch=optional(inventory, "unsettled_batch", lambda: flag(inventory, "unsettled_batch")),
        tamper=optional(inventory, "tamper", lambda: flag(inventory, "tamper")),
    )


def _inventory_operator(holder: Claims) -> InventoryOperator:
    entry = member(holder, "operator")
    return InventoryOperator(
        op=text(entry, "op", pattern=OPERATOR),
        role=text(entry, "role", pattern="ordinary|supervisor|maintenance"),
        locked=flag(entry, "locked"),
        age_days=optional(entry, "age_days", lambda: integer(entry, "age_days", 0, 36_500)),
        tries_left=integer(entry, "tries_left", 0, 99),
        weak=optional(entry, "weak", lambda: text(entry, "weak", pattern="default|common|shared")),
    )
