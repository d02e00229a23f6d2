"""The conformance kit: whoever keeps the rules passes, and each rule is seen to fail where it is broken."""

from __future__ import annotations

import os

import pytest

from terminals import jose
from terminals.conformance import server_rules
from terminals.conformance.hands import Ready
from terminals.conformance.report import line
from terminals.conformance.rules import FAILED, PASSED, Verdict, run
from terminals.conformance.server import serving
from terminals.conformance.server_rules import ServerBench
from tests.terminals.broken import server_doors, server_queue
from tests.terminals.broken.server import BROKEN, Whole

assert server_doors and server_queue
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
