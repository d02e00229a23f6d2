"""The comparison can fail: each kind of disagreement that is planted is named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.ledger import Machine, Verdict, compare

TILL = "trm_AAAAAAAAAAAAAAAA"
ASKED = {(TILL, "03"): "719402"}
ROW = {
    "id": "cmd_1",
    "terminal_id": TILL,
    "operator_number": "03",
    "state": "applied",
    "recovery": "done",
}
LINE = {"cid": "cmd_1", "op": "03"}


def verdict(row: dict[str, Any] | None = None, **machine: Any) -> Verdict:
    """What is said about one reset that went well, except for what is changed here."""
    good: dict[str, Any] = {"applied": [LINE], "hwm": 1, "outbox": 0, "in_force": {"03"}}
    rows = [ROW | row] if row is not None else [ROW]
    return compare(ASKED, rows, {TILL: Machine(**(good | machine))}, {TILL: 1})


def test_a_reset_that_went_well_is_no_disagreement() -> None:
    assert verdict() == Verdict([], [], [], [])


def test_a_password_that_is_not_in_force_is_lost() -> None:
    assert verdict(in_force=set()).lost == [f"{TILL} 03"]


def test_a_command_that_was_applied_twice_is_named() -> None:
    assert verdict(applied=[LINE, LINE]).twice == ["cmd_1"]


@pytest.mark.parametrize("line", [{"cid": "cmd_1", "op": "05"}, {"cid": "cmd_2", "op": "03"}])
def test_what_nobody_asked_for_is_named(line: dict[str, str]) -> None:
    assert verdict(applied=[LINE, line]).unasked == [line["cid"]]


@pytest.mark.parametrize("row", [{"state": "queued"}, {"recovery": "dispatched"}, {"operator_number": "05"}])
def test_a_database_that_says_something_else_is_named(row: dict[str, str]) -> None:
    assert verdict(row).differing


@pytest.mark.parametrize("machine", [{"hwm": 2}, {"outbox": 1}, {"applied": []}])
def test_a_terminal_that_knows_something_else_is_named(machine: dict[str, Any]) -> None:
    assert verdict(**machine).differing
