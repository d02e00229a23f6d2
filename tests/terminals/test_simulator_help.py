"""Help that starts at the machine, with a network and without, and what the machine tells of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminals import jose, ocra
from terminals.conformance.memory import Reply
from terminals.protocol import UNLOCK_LIFETIME
from terminals.simulator.offline import DAY
from terminals.simulator.screen import render
from tests.terminals.machines import KeyedServer, Machine


class TestRecoveryAtTheMachine:
    def test_the_screen_shows_a_qr_a_code_and_a_number_that_is_in_neither(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        machine.till.forgot("03")
        pause = machine.client.step()
        shown = render(machine.state, machine.till.present(), "zh")
        asking = machine.state.asking
        assert asking and asking.state == "pending" and pause <= asking.interval
        assert asking.user_code in shown and asking.match in shown and "█" in shown and "▀" in shown
        assert asking.match not in asking.address_complete.rsplit("/", 1)[1]

    @pytest.mark.parametrize("outcome", ["denied", "expired", "done"])
    def test_how_it_ended_is_shown_for_a_while(
        self, machine: Machine, server: KeyedServer, outcome: str
    ) -> None:
        machine.till.forgot("03")
        machine.client.step()
        server.end_recoveries(outcome)
        machine.client.step()
        assert machine.state.asking and machine.state.asking.state == outcome
        assert render(machine.state, machine.till.present(), "zh") != render(machine.state, 0, "en")
        machine.later(121)
        machine.client.step()
        assert machine.state.asking is None

    def test_its_time_runs_out_even_if_the_server_never_says_so(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        machine.till.forgot("03")
        machine.client.step()
        machine.later(601)
        server.clock_offset = 601
        machine.client.step()
        assert machine.state.asking and machine.state.asking.state == "expired"

    def test_a_lost_reply_is_asked_for_anew(self, machine: Machine, server: KeyedServer) -> None:
        # Asking is not repeatable, so the client itself does not repeat it at once.
        server.lose = ["recoveries"]
        machine.till.forgot("03")
        machine.client.step()
        assert machine.state.asking and machine.state.asking.state == "wanted"
        machine.client.step()
        assert machine.state.asking and machine.state.asking.state == "pending"
        assert len(server.recoveries) == 2

    @pytest.mark.parametrize(("status", "shown"), [(404, "unknown"), (403, "refused"), (429, "too_often")])
    def test_a_refusal_is_shown(self, machine: Machine, server: KeyedServer, status: int, shown: str) -> None:
        server.closed["recoveries"] = Reply(status, {"code": "slow_down"})
        machine.till.forgot("03")
        machine.client.step()
        assert machine.state.asking and machine.state.asking.state == shown

    def test_nobody_unknown_can_ask(self, machine: Machine) -> None:
        assert machine.till.forgot("42") == "unknown"
        assert machine.state.asking is None


class TestOfflineUnlock:
    def answer(self, machine: Machine, question: str, op: str = "03") -> str:
        key = jose.unb64u(machine.state.offline_key)
        session = ocra.session_of(machine.state.tid, op)
        return ocra.response(key, machine.state.offline_counter, question, session)

    def test_a_right_answer_allows_one_new_password_and_leaves_a_receipt(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        machine.till.alter(connected=False)
        unlock, now = machine.till.offline, machine.till.present()
        question, _ = unlock.begin("03", now)
        assert unlock.change("03", "482917", now) == ["closed"]
        assert unlock.answer("03", self.answer(machine, question), now) == "ok"
        assert unlock.change("03", "1234", now) == ["run"]
        assert unlock.change("03", "482917", now) == []
        assert unlock.change("03", "735928", now) == ["closed"]
        assert machine.till.sign_on("03", "482917").accepted
        machine.client.step()
        assert server.receipts == {}
        machine.till.alter(connected=True)
        machine.client.step()
        (claims,) = server.receipts.values()
        assert (claims["sub"], claims["oc"], claims["st"]) == ("offline", 1, "applied")
        assert claims["tok"] == jose.digest(question) and "cid" not in claims

    def test_the_counter_is_stored_before_the_question_is_shown(self, machine: Machine) -> None:
        question, _ = machine.till.offline.begin("03", machine.till.present())
        machine.power_up()
        assert machine.state.offline_counter == 1
        assert int(question[:2]) == 1 and ocra.damm(question) == "0"

    def test_there_are_three_tries_for_a_question(self, machine: Machine) -> None:
        unlock, now = machine.till.offline, machine.till.present()
        question, _ = unlock.begin("03", now)
        assert [unlock.answer("03", "00000000", now) for _ in range(3)] == ["wrong"] * 3
        assert unlock.answer("03", self.answer(machine, question), now) == "closed"

    def test_a_question_lives_ten_minutes(self, machine: Machine) -> None:
        unlock, now = machine.till.offline, machine.till.present()
        question, _ = unlock.begin("03", now)
        late = now + UNLOCK_LIFETIME + 1
        assert unlock.answer("03", self.answer(machine, question), late) == "closed"

    def test_an_answer_serves_one_operator_and_one_question(self, machine: Machine) -> None:
        unlock, now = machine.till.offline, machine.till.present()
        question, _ = unlock.begin("03", now)
        right = self.answer(machine, question)
        assert unlock.answer("01", right, now) == "closed"
        assert unlock.answer("03", self.answer(machine, question, "01"), now) == "wrong"
        unlock.begin("03", now)
        assert unlock.answer("03", right, now) == "wrong"

    def test_after_five_questions_in_a_day_there_is_none_for_a_day(self, machine: Machine) -> None:
        unlock, now = machine.till.offline, machine.till.present()
        for hour in range(5):
            assert unlock.begin("03", now + hour * 3600)[0]
        last = now + 4 * 3600
        assert unlock.begin("03", last + 1) == ("", "unlock_locked")
        assert unlock.begin("03", last + DAY - 1) == ("", "unlock_locked")
        assert unlock.begin("03", last + DAY)[0]

    def test_five_questions_over_many_days_lock_nothing(self, machine: Machine) -> None:
        unlock, now = machine.till.offline, machine.till.present()
        assert all(unlock.begin("03", now + day * 30_000)[0] for day in range(9))

    def test_a_machine_without_a_key_has_no_questions(self, tmp_path: Path) -> None:
        fresh = Machine(tmp_path / "fresh")
        fresh.set_up("03")
        assert fresh.till.offline.begin("03", 0) == ("", "new")


class TestCondition:
    def test_every_change_of_the_machine_is_told_at_once(self, machine: Machine, server: KeyedServer) -> None:
        machine.client.step()
        for facts in (
            {"network": "wifi"},
            {"tampered": True},
            {"batch": True},
            {"charging": False, "battery": 40},
        ):
            machine.till.alter(**facts)
            machine.client.step()
        told = server.inventory["inventory"]
        assert (told["network"], told["tamper"], told["unsettled_batch"]) == ("wifi", True, True)
        assert (told["battery"], told["charging"]) == (40, False)
        assert len(server.asked("inventory")) == 5

    def test_a_falling_battery_is_no_news(self, machine: Machine, server: KeyedServer) -> None:
        machine.till.alter(battery=50)
        machine.client.step()
        machine.till.alter(battery=49)
        machine.client.step()
        assert len(server.asked("inventory")) == 1
        assert "bat=49" in server.requests[-1].headers["rekey-telemetry"]

    def test_a_weak_password_is_found_by_the_machine(self, machine: Machine, server: KeyedServer) -> None:
        server.issue(op="03", password="1314")
        machine.client.step()
        machine.client.step()
        weak = {entry["op"]: entry.get("weak") for entry in server.inventory["inventory"]["operators"]}
        assert weak["03"] == "common" and weak["01"] is None

    def test_without_a_network_nothing_is_sent(self, machine: Machine, server: KeyedServer) -> None:
        before = len(server.requests)
        machine.till.alter(connected=False)
        machine.client.step()
        assert len(server.requests) == before
