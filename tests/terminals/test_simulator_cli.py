"""What a person does at the machine, in words, in both languages."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from terminals import jose, ocra
from terminals.simulator.cli import Display, main
from terminals.simulator.screen import LANGUAGES, qr_lines, render, words
from terminals.simulator.state import Asking, Restart, Token, Wipe
from terminals.simulator.till import Till
from terminals.simulator.verbs import VERBS, at_the_keyboard
from tests.terminals.tills import PASSWORDS, enrolled


@pytest.fixture
def till(tmp_path: Path) -> Till:
    return enrolled(tmp_path)


def at(till: Till, *typed: str) -> int:
    verb, *rest = typed
    return main([verb, "--state", str(till.store.directory), "--lang", "en", *rest])


class TestVerbs:
    def test_the_machine_can_be_put_into_every_condition(self, till: Till) -> None:
        for typed in ("busy on", "batch on", "tamper on", "network off", "battery 40", "roll both"):
            assert at(till, *typed.split()) == 0
        state = till.store.load()
        assert state.busy and state.batch and state.tampered and not state.connected
        assert (state.battery, state.charging, state.roll_wanted) == (40, False, "both")
        assert at(till, "network", "cellular") == 0 and at(till, "battery", "41", "charging") == 0
        state = till.store.load()
        assert state.connected and state.network == "cellular" and state.charging

    @pytest.mark.parametrize(
        "typed",
        [
            "busy", "busy maybe", "battery 101", "battery full", "battery 5 x", "network 5g", "roll it",
            "forgot", "forgot 42", "unlock 42", "decline 00 1", "decline 01 1", "change 03 1 2", "signon 03",
        ],
    )  # fmt: skip
    def test_what_cannot_be_done_is_said_and_told_by_the_exit_code(
        self, till: Till, typed: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = till.store.load()
        assert at(till, *typed.split()) == 1
        assert capsys.readouterr().out.strip()
        after = till.store.load()
        for state in (before, after):
            for operator in state.operators.values():
                operator.tries_left = 5
        assert after == before

    def test_help_is_asked_for_with_a_network_and_without(
        self, till: Till, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert at(till, "forgot", "03") == 0
        assert till.store.load().asking == Asking("03")
        assert at(till, "unlock", "03") == 0
        shown = capsys.readouterr().out
        challenge = till.store.load().challenge
        assert challenge and f"{challenge.question[:5]} {challenge.question[5:]}" in shown

    def test_an_answer_and_a_new_password_in_one_line(self, tmp_path: Path) -> None:
        till = enrolled(tmp_path)
        till.clock.now = 2_000_000_000  # type: ignore[attr-defined]
        till.alter(time_floor=2_000_000_000)
        at(till, "unlock", "03")
        state = till.store.load()
        assert state.challenge
        right = ocra.response(
            jose.unb64u(state.offline_key), 1, state.challenge.question, ocra.session_of(state.tid, "03")
        )
        assert at(till, "unlock", "03", "00000000", "482917") == 1
        assert at(till, "unlock", "03", right, "1234") == 1
        assert at(till, "unlock", "03", right, "482917") == 0
        assert at(till, "unlock", "03", right, "735928") == 1
        assert till.sign_on("03", "482917").accepted

    def test_a_password_may_come_from_standard_input(
        self, till: Till, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORDS['03']}\n482917\n"))
        assert at(till, "change", "03", "-", "-") == 0
        assert till.sign_on("03", "482917").accepted


class TestKeyboard:
    def test_a_number_and_a_password_sign_on(self, till: Till) -> None:
        assert at_the_keyboard(till, "zh", f"03 {PASSWORDS['03']}\n").text == "登录成功"
        assert at_the_keyboard(till, "en", "03 9999\n").text == "Wrong password"
        assert at_the_keyboard(till, "en", "\n").text == ""

    def test_help_lists_every_verb(self, till: Till) -> None:
        said = at_the_keyboard(till, "en", "help").text
        assert all(f"  {verb}" in said for verb in VERBS)
        assert not at_the_keyboard(till, "en", "dance").good
        assert at_the_keyboard(till, "en", "busy on").good and till.store.load().busy

    def test_it_draws_only_what_has_changed_and_shows_the_last_lines(
        self, till: Till, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        display = Display(till, "en", drawn=True)
        display.draw()
        assert "RK-100" in capsys.readouterr().out
        display.draw()
        assert capsys.readouterr().out == ""
        monkeypatch.setattr("sys.stdin", io.StringIO("busy on\ntamper on\nnonsense\n"))
        display.say("applied set_credential 03")
        display.read(threading.Event())
        shown = capsys.readouterr().out
        assert "Sale in progress" in shown and "Case opened" in shown
        assert "applied set_credential 03" in shown and "Not understood" in shown


class TestScreen:
    def test_both_languages_know_the_same_words(self) -> None:
        known = [set(words(lang)) for lang in LANGUAGES]
        assert known[0] == known[1]
        assert all(words("zh")[name] != words("en")[name] or name == "wifi" for name in known[0])

    @pytest.mark.parametrize("lang", LANGUAGES)
    def test_every_line_is_as_wide_as_the_frame_and_every_word_is_there(self, till: Till, lang: str) -> None:
        state, now = till.store.load(), 1_767_225_600
        token = Token("t", "c", 1, "k")
        state.battery, state.tampered, state.batch, state.busy = 7, True, True, True
        state.roll_wanted, state.message, state.connected = "sign", "客服 400-000-0000" * 4, False
        shown = set()
        for wipe in (
            Wipe(token, now + 30, declinable=True),
            Wipe(token, now, declinable=False, reported="r"),
        ):
            for trouble in ("invalid_auth", "revoked", "quarantined", "keyset_refused", "upgrade_required"):
                state.wipe, state.trouble = wipe, trouble
                shown.add(render(state, now, lang))
        for outcome in ("wanted", "pending", "denied", "expired", "done", "unknown", "refused", "too_often"):
            state.asking = Asking(
                "03", outcome, "r", "BCDF-GHJK", "https://x.example/t", "https://x.example/t/B", "47"
            )
            shown.add(render(state, now, lang))
        state.restart = Restart(token, 0)
        shown.add(render(state, now, lang))
        assert len(shown) == 19
        lines = [line for text in shown for line in text.splitlines()]
        assert all(line[0] in "┌│├└" and line[-1] in "┐│┤┘" for line in lines)

    def test_the_code_is_drawn_square_with_its_quiet_zone(self) -> None:
        lines = qr_lines("https://rekey.example/t/BCDFGHJK")
        width = {len(line) for line in lines}
        assert len(width) == 1
        drawn = [line.strip(" ") for line in lines]
        assert set(drawn[0]) == {"█"}
        assert abs(2 * len(lines) - len(drawn[0])) <= 1
