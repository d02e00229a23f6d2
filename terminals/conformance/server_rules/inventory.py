"""Rules about what a terminal tells of itself."""

from __future__ import annotations

from typing import Any

from terminals.conformance.rules import INVENTORY as SECTION
from terminals.conformance.rules import Book
from terminals.conformance.server_rules.bench import INVENTORY, ServerBench

BOOK: Book[ServerBench] = Book()
rule = BOOK.rule

_ONE: dict[str, Any] = INVENTORY["operators"][1]


@rule("inventory-taken", SECTION, "A good inventory is answered 204")
def taken(bench: ServerBench) -> None:
    """Also the smallest one."""
    bench.paired()
    bench.tell_inventory(what="with all members").wanted(204)
    bench.tell_inventory({"inventory": {"operators": [], "fw": "1"}}, what="the smallest one").wanted(204)


@rule("inventory-refused-whole", SECTION, "An inventory with something wrong in it is refused whole")
def refused(bench: ServerBench) -> None:
    """Each fault on its own."""
    bench.paired()
    faults: dict[str, dict[str, Any]] = {
        "an operator of one digit": {"operators": [{**_ONE, "op": "3"}]},
        "an operator twice": {"operators": [_ONE, _ONE]},
        "a role nobody knows": {"operators": [{**_ONE, "role": "boss"}]},
        "a weakness nobody knows": {"operators": [{**_ONE, "weak": "short"}]},
        "locked as text": {"operators": [{**_ONE, "locked": "no"}]},
        "a battery of 101": {"battery": 101},
        "no firmware": {"fw": None},
        "a control character": {"fw": "1\u0007"},
        "65 operators": {"operators": [{**_ONE, "op": f"{number:02}"} for number in range(65)]},
    }
    for what, fault in faults.items():
        body = {name: value for name, value in {**INVENTORY, **fault}.items() if value is not None}
        bench.tell_inventory({"inventory": body}, what=f"with {what}").wanted(400, "malformed")
