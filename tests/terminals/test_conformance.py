"""The conformance kit: whoever keeps the rules passes, and each rule is seen to fail where it is broken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from terminals import jose
from terminals.conformance import server_rules, terminal_rules
from terminals.conformance.hands import Ready
from terminals.conformance.report import line
from terminals.conformance.rules import FAILED, PASSED, Verdict, run
from terminals.conformance.server import serving
from terminals.conformance.server_rules import ServerBench
from tests.terminals.broken import (
    server_doors,
    server_queue,
    terminal,
    terminal_habits,
    terminal_judges,
    terminal_orders,
    terminal_polls,
    terminal_reports,
)
from tests.terminals.broken.server import BROKEN, Whole
from tests.terminals.stepped import Parts, under_test

ENTERED = (
    server_doors,
    server_queue,
    terminal_habits,
    terminal_judges,
    terminal_orders,
    terminal_polls,
    terminal_reports,
)
# Every mutant against every rule, instead of the rules of its own room.
THOROUGH = bool(os.environ.get("REKEY_THOROUGH"))


def asked(server: Whole, *only: str, quick: bool = True) -> list[Verdict]:
    """What the kit says of this server."""
    with serving(server):
        qr = f"REKEY1:{server.origin}|{server.code}|{jose.thumbprint(server.root)}"
        owner = Ready(
            {"reset": lambda tid, op: server.reset(op), "pairing-code": lambda tid: server.new_code()}
        )
        return run(server_rules.RULES, ServerBench(server.origin, qr, owner), only=only, skip_slow=quick)


def failed(verdicts: list[Verdict]) -> list[str]:
    return [verdict.id for verdict in verdicts if verdict.outcome == FAILED]


class TestAServer:
    def test_the_kits_own_server_keeps_every_rule(self) -> None:
        verdicts = asked(Whole(), quick=False)
        assert [line(verdict) for verdict in verdicts if verdict.outcome != PASSED] == []

    def test_every_rule_has_a_server_that_breaks_it(self) -> None:
        assert set(BROKEN) == {rule.id for rule in server_rules.RULES}

    @pytest.mark.parametrize("rule", BROKEN)
    def test_a_broken_rule_is_found_and_no_other_blamed(self, rule: str) -> None:
        assert failed(asked(BROKEN[rule](), rule)) == [rule]


def tried(directory: Path, rule: str, parts: Parts) -> list[Verdict]:
    """What the kit says of this terminal: every rule, or those of the rule's own room."""
    rooms = [room for room in terminal_rules.ROOMS if any(one.id == rule for one in room.BOOK.rules)]
    wanted = {one.id for room in (*rooms, terminal_rules.ROOMS[0]) for one in room.BOOK.rules}
    if "keyset" in rule or rule == "poll-keeps-memory":
        wanted |= {one.id for one in terminal_rules.RULES}
    chosen = [one for one in terminal_rules.RULES if THOROUGH or not rule or one.id in wanted]
    with under_test(directory, parts) as bench:
        return run(chosen, bench)


class TestATerminal:
    def test_our_terminal_keeps_every_rule(self, tmp_path: Path) -> None:
        verdicts = tried(tmp_path, "", Parts())
        assert [line(verdict) for verdict in verdicts if verdict.outcome != PASSED] == []

    def test_every_rule_has_a_terminal_that_breaks_it(self) -> None:
        assert set(terminal.BROKEN) == {rule.id for rule in terminal_rules.RULES}

    @pytest.mark.parametrize("rule", terminal.BROKEN)
    def test_a_broken_rule_is_found_and_no_other_blamed(
        self, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mutant = terminal.BROKEN[rule]
        for target, other in mutant.patches:
            monkeypatch.setattr(target, other)
        assert set(failed(tried(tmp_path, rule, mutant.parts))) - mutant.besides == {rule}
