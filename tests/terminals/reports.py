"""What a terminal of the cast says of itself, and how it gets to the server."""

from __future__ import annotations

from typing import Any

from django.test import Client

from terminals.models import Terminal
from tests.cast import OPERATORS, PairedTill

ROLES = {"00": "supervisor", "99": "maintenance"}


def operator(number: str, **changes: Any) -> dict[str, Any]:
    """One operator as a terminal reports it."""
    facts = {
        "op": number,
        "role": ROLES.get(number, "ordinary"),
        "locked": False,
        "age_days": 40,
        "tries_left": 5,
    }
    return {**facts, **changes}


def report(*changed: dict[str, Any], without: str = "", **more: Any) -> dict[str, Any]:
    """What a well-kept terminal of the cast says, with some operators changed or left out."""
    named = {entry["op"]: entry for entry in changed}
    operators = [named.pop(number, operator(number)) for number in OPERATORS if number != without]
    return {"operators": [*operators, *named.values()], "fw": "4.2.1", "tamper": False, **more}


def send(till: PairedTill, body: dict[str, Any]) -> None:
    """`PUT inventory` over the door."""
    answer = Client().put(
        "/terminal/v1/inventory",
        {"inventory": body},
        content_type="application/json",
        headers=till.authorization(),
    )
    assert answer.status_code == 204, answer.content


def seen(till: PairedTill) -> Terminal:
    """The terminal as the pages load it."""
    return Terminal.objects.select_related("status", "store__merchant", "model").get(pk=till.terminal.pk)
