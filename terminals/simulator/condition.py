"""What the terminal tells of itself: in short with every poll, in full daily and on change (protocol §6)."""

from __future__ import annotations

from typing import Any, Final

from terminals.headers import Telemetry
from terminals.simulator.state import Operator, State

INVENTORY_EVERY: Final = 24 * 3600
_NO_CHANGE: Final = ("battery",)


def inventory(state: State, now: int) -> dict[str, Any]:
    """Who is on this machine and how they and it are; never a password or a hash."""
    operators = [operator for _, operator in sorted(state.operators.items())]
    facts: dict[str, Any] = {
        "operators": [_operator(operator, now) for operator in operators],
        "fw": state.profile.fw,
        "app": state.profile.app,
        "network": state.network,
        "unsettled_batch": state.batch,
        "tamper": state.tampered,
    }
    if state.battery is not None:
        facts |= {"battery": state.battery, "charging": state.charging}
    return facts


def _operator(operator: Operator, now: int) -> dict[str, Any]:
    return {
        "op": operator.number,
        "role": operator.role,
        "locked": operator.locked,
        "age_days": max(0, now - operator.changed_at) // 86_400,
        "tries_left": max(0, operator.tries_left),
        **({"weak": operator.weak} if operator.weak else {}),
    }


def worth_telling(facts: dict[str, Any]) -> dict[str, Any]:
    """The part of an inventory whose change is reported at once."""
    return {name: value for name, value in facts.items() if name not in _NO_CHANGE}


def telemetry(state: State) -> Telemetry:
    """The header that goes with every poll."""
    battery = {} if state.battery is None else {"bat": state.battery, "chg": state.charging}
    return Telemetry(
        pv=1,
        fw=state.profile.fw,
        hwm=state.hwm,
        ks=state.keyset.get("ver"),
        batch=state.batch,
        idle=not state.busy,
        **battery,  # type: ignore[arg-type]
    )
