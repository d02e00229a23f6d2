"""The conformance kit: whoever keeps the rules passes, and each rule is seen to fail where it is broken."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from terminals import jose
from terminals.conformance import server_rules, terminal_rules
from terminals.conformance.cli import main
from terminals.conformance.hands import Person, Program, Ready
from terminals.conformance.report import as_json, exit_code, line, summary
from terminals.conformance.rules import (
    FAILED,
    NOT_RUN,
    PAIRING,
    PASSED,
    SECTIONS,
    CannotTell,
    Verdict,
    run,
)
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
from tests.vectors.__main__ import SHEETS

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


class TestTheReport:
    def test_each_section_is_a_heading_of_the_protocol_document(self) -> None:
        text = (Path(__file__).parents[2] / "docs" / "terminal-protocol.md").read_text("utf-8")
        headings = set(re.findall(r"^#+ (?:[0-9]+\. )?(.+)$", text, re.MULTILINE))
        assert set(SECTIONS) <= headings
        rules = [*server_rules.RULES, *terminal_rules.RULES]
        assert {rule.section for rule in rules} == set(SECTIONS)
        sections = {vector.section for kind in SHEETS for vector in SHEETS[kind].vectors()}
        assert sections <= headings

    def test_every_rule_is_one_sentence_with_a_name_of_its_own(self) -> None:
        for rules in (server_rules.RULES, terminal_rules.RULES):
            assert len({rule.id for rule in rules}) == len(rules)
            assert all(20 < len(rule.says) <= 110 for rule in rules), [rule.says for rule in rules]

    def test_a_failed_line_says_what_was_sent_expected_and_received(self) -> None:
        broken = next(one for one in asked(BROKEN["bearer-eddsa"](), "bearer-eddsa") if one.outcome == FAILED)
        assert line(broken).splitlines() == [
            "  ✗ bearer-eddsa                 EdDSA is taken as the older name of Ed25519",
            '      sent      PUT /terminal/v1/inventory, a bearer with "alg": "EdDSA"',
            "      expected  204",
            f"      came      {broken.came}",
        ]
        assert "invalid_auth" in broken.came
        assert "Who is asking" in summary([broken]) and exit_code([broken]) == 1
        assert json.loads(as_json("server", [broken]))["sums"] == {"failed": 1}

    def test_what_needs_the_owner_is_not_run_and_never_passed(self) -> None:
        server = Whole()
        with serving(server):
            verdicts = run(server_rules.RULES, ServerBench(server.origin, server.code), skip_slow=True)
        outcomes = {verdict.id: verdict.outcome for verdict in verdicts}
        assert failed(verdicts) == []
        assert {outcomes[name] for name in ("code-burns", "key-in-use", "poll-304", "receipt-applied")} == {
            NOT_RUN
        }
        assert exit_code(verdicts) == 0
        assert exit_code([one for one in verdicts if one.outcome == NOT_RUN]) == 1

    def test_nobody_answers_and_every_rule_says_so(self) -> None:
        verdicts = run(server_rules.RULES, ServerBench("http://127.0.0.1:1", "BCD-FGH-JKL"))
        assert not any(verdict.outcome == PASSED for verdict in verdicts if verdict.section == PAIRING)
        assert "an HTTP answer" in line(verdicts[0])

    def test_the_command_line_prints_a_table_or_json_and_exits_accordingly(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with serving(Whole()) as server:
            code = main(["--url", server.origin, "--pairing-code", server.code, "--quick", "--json"])
        printed = json.loads(capsys.readouterr().out)
        assert (
            code == 0 and printed["tested"] == "server" and len(printed["rules"]) == len(server_rules.RULES)
        )
        with serving(BROKEN["enroll-clock"]()) as server:
            assert main(["--url", server.origin, "--pairing-code", server.code, "--quick"]) == 1
        assert "✗ enroll-clock" in capsys.readouterr().out
        with pytest.raises(SystemExit):
            main([])

    def test_a_program_can_be_the_hands_and_may_refuse(self) -> None:
        assert (
            Program(f"{sys.executable} -c 'import sys; print(*sys.argv[1:])'").act("busy", "on") == "busy on"
        )
        with pytest.raises(CannotTell):
            Program(f"{sys.executable} -c 'raise SystemExit(3)'").act("busy", "on")
        with pytest.raises(CannotTell):
            Person({"roll": "Change the keys."}, read=lambda text: "-").act("roll")
        assert Person({}, read=lambda text: " ok ").act("signon", "03", "1") == "ok"


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
        return run(chosen, bench, between=bench.server.calm)


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
        verdicts = tried(tmp_path, rule, mutant.parts)
        blamed = [line(verdict) for verdict in verdicts if verdict.outcome == FAILED]
        assert set(failed(verdicts)) - mutant.besides == {rule}, "\n".join(blamed)
