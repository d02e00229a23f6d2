"""Restarts, resets, withdrawals and refusals: what a terminal does that must not be done twice."""

from __future__ import annotations

import pytest

from terminals.conformance.memory import Reply, problem
from terminals.simulator import effects
from terminals.simulator.screen import render
from tests.terminals.machines import RESETTING, KeyedServer, Machine, issue_reset
from tests.terminals.tills import PASSWORDS
from tests.vectors import world


def nothing_left(machine: Machine) -> bool:
    return machine.state.status == "new"


class TestRestart:
    def test_the_receipt_comes_after_the_boot_and_the_token_never_boots_twice(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        cid = server.issue("reboot")
        token = server.tokens[0]
        assert machine.till.receive(token).st == "begun"
        assert machine.state.outbox == []
        assert machine.till.receive(token).st == "repeated"
        boots = machine.state.boots
        machine.client.step()
        assert machine.state.boots == boots + 1
        assert server.outcome(cid) == ["applied"]
        assert machine.till.receive(token).st == "repeated"
        machine.client.step()
        assert machine.state.boots == boots + 1

    def test_a_power_cut_on_the_way_was_the_restart(self, machine: Machine, server: KeyedServer) -> None:
        cid = server.issue("reboot")
        machine.till.receive(server.tokens[0])
        machine.power_off()
        machine.power_up()
        machine.till.power.boot(machine.till.present())
        boots = machine.state.boots
        machine.client.step()
        assert server.outcome(cid) == ["applied"]
        assert machine.state.boots == boots

    def test_it_waits_for_the_end_of_a_sale(self, machine: Machine, server: KeyedServer) -> None:
        machine.till.set_busy(True)
        cid = server.issue("reboot", args={"idle_max": 600})
        machine.client.step()
        assert server.outcome(cid) == ["deferred busy"]
        machine.till.set_busy(False)
        machine.client.step()
        assert server.outcome(cid)[-1] == "applied"

    def test_but_not_longer_than_it_was_told_to(self, machine: Machine, server: KeyedServer) -> None:
        machine.till.set_busy(True)
        server.issue("reboot", args={"idle_max": 40})
        token = server.tokens[0]
        assert machine.till.receive(token).retry == effects.RETRY_WHEN_BUSY
        machine.later(25)
        assert machine.till.receive(token).retry == 15
        machine.later(15)
        assert machine.till.receive(token).st == "begun"
        machine.client.step()
        assert not machine.state.busy

    @pytest.mark.parametrize("args", [{"idle_max": -1}, {"idle_max": 86_401}, {"idle_max": "9"}])
    def test_a_wait_without_sense_is_refused(
        self, machine: Machine, server: KeyedServer, args: dict[str, object]
    ) -> None:
        server.issue("reboot", args=args)
        assert machine.till.receive(server.tokens[0]).rc == "malformed"

    def test_an_almost_empty_battery_is_a_reason_not_to(self, machine: Machine, server: KeyedServer) -> None:
        machine.till.alter(battery=10, charging=False)
        server.issue("reboot")
        assert machine.till.receive(server.tokens[0]).rc == "low_battery"


class TestFactoryReset:
    def backup(self, server: KeyedServer, age: int = 3600) -> dict[str, object]:
        return {"bk": "backup-7", "bk_at": server.now() - age}

    def test_it_reports_before_it_wipes(self, machine: Machine, server: KeyedServer) -> None:
        cid = issue_reset(server)
        server.closed["receipts"] = problem("unavailable")
        machine.client.step()
        assert machine.state.status == "active" and machine.state.wipe
        del server.closed["receipts"]
        machine.client.step()
        assert server.outcome(cid) == ["applied"]
        state = machine.state
        assert (state.status, state.sign_key, state.operators, state.offline_key) == ("new", {}, {}, "")

    def test_a_server_that_cannot_be_reached_stops_it_three_times_but_not_for_ever(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        issue_reset(server)
        server.closed["receipts"] = problem("revoked")
        machine.till.receive(server.tokens[0])
        for _ in range(2):
            machine.client.step()
            assert machine.state.status == "active"
        machine.client.step()
        assert nothing_left(machine)

    def test_a_countdown_is_shown_and_a_supervisor_may_stop_it(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        cid = issue_reset(server, guard=self.backup(server))
        machine.client.step()
        assert "60" in render(machine.state, machine.till.present(), "en")
        assert machine.till.decline("03", PASSWORDS["03"]) == "wrong"
        assert machine.till.decline("00", "000000") == "wrong"
        assert machine.till.decline("00", PASSWORDS["00"]) == "ok"
        machine.later(61)
        machine.client.step()
        assert server.outcome(cid) == ["rejected user_declined"]
        assert machine.state.status == "active"

    def test_nobody_stops_it_on_a_stolen_machine(self, machine: Machine, server: KeyedServer) -> None:
        issue_reset(server)
        machine.till.receive(server.tokens[0])
        assert machine.till.decline("00", PASSWORDS["00"]) == "closed"

    def test_after_the_countdown_it_wipes(self, machine: Machine, server: KeyedServer) -> None:
        cid = issue_reset(server, guard=self.backup(server))
        machine.client.step()
        assert machine.state.status == "active" and server.outcome(cid) == []
        machine.later(61)
        server.clock_offset = 61
        machine.client.step()
        assert server.outcome(cid) == ["applied"] and nothing_left(machine)

    def test_a_withdrawal_in_the_countdown_stops_it(self, machine: Machine, server: KeyedServer) -> None:
        cid = issue_reset(server, guard=self.backup(server))
        machine.client.step()
        void = server.issue("void", args={"ref": cid})
        server.tokens = server.tokens[-1:]
        machine.client.step()
        machine.later(61)
        machine.client.step()
        assert server.outcome(void) == ["applied"] and server.outcome(cid) == []
        assert machine.state.status == "active"

    @pytest.mark.parametrize(
        "changes",
        [
            {"apr": []}, {"apr": ["usr_1"]}, {"apr": ["usr_1", "usr_2"]}, {"guard": {}}, {"guard": None},
            {"guard": {"waive": "tidy"}}, {"guard": {"waive": "stolen", "bk": "x"}},
            {"guard": {"bk": "x"}}, {"guard": {"bk": "x", "bk_at": 1_700_000_000}},
            {"guard": {"bk": "x", "bk_at": 2**40}}, {"guard": {"bk": "", "bk_at": 2**31}},
            {"guard": {"bk": "x", "bk_at": "now"}},
        ],
    )  # fmt: skip
    def test_what_it_needs_besides_a_signature(
        self, machine: Machine, server: KeyedServer, changes: dict[str, object]
    ) -> None:
        if "guard" in changes and changes["guard"] is None:
            changes = {"guard": {}}
        issue_reset(server, **changes)
        assert machine.till.receive(server.tokens[0]).rc == "guard_failed"
        assert machine.state.wipe is None

    def test_it_may_not_be_kept_for_later(self, machine: Machine, server: KeyedServer) -> None:
        issue_reset(server, exp=server.now() + 3601)
        assert machine.till.receive(server.tokens[0]).rc == "guard_failed"

    def test_the_key_for_passwords_cannot_order_it(self, machine: Machine, server: KeyedServer) -> None:
        issue_reset(server, key=world.ISSUER)
        assert machine.till.receive(server.tokens[0]).rc == "key_scope"
        server.issue("unlock", op="03", key=RESETTING)
        assert machine.till.receive(server.tokens[1]).rc == "key_scope"

    def test_money_that_is_not_settled_yet_stops_it(self, machine: Machine, server: KeyedServer) -> None:
        machine.till.alter(batch=True)
        issue_reset(server, guard=self.backup(server))
        assert machine.till.receive(server.tokens[0]).rc == "unsettled_batch"
        issue_reset(server)
        assert machine.till.receive(server.tokens[1]).st == "begun"

    def test_an_empty_machine_can_be_paired_again(self, machine: Machine, server: KeyedServer) -> None:
        issue_reset(server)
        machine.client.step()
        machine.client.step()
        assert nothing_left(machine)
        assert machine.client.step() > 0
        machine.client.enroll(server.origin, server.code)
        assert machine.state.status == "active"


class TestWithdrawal:
    def test_it_beats_a_command_that_waits_for_the_end_of_a_sale(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        machine.till.set_busy(True)
        cid = server.issue(op="03", password="482917")
        original = server.tokens[0]
        machine.client.step()
        server.tokens = []
        void = server.issue("void", args={"ref": cid})
        machine.client.step()
        assert server.outcome(void) == ["applied"]
        machine.till.set_busy(False)
        assert machine.till.receive(original).rc == "seq_replayed"
        assert machine.till.sign_on("03", PASSWORDS["03"]).accepted

    def test_of_something_done_it_tells_again_what_was_done_and_first(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        cid = server.issue(op="03", password="482917")
        machine.client.step()
        server.receipts.clear()
        void = server.issue("void", args={"ref": cid})
        machine.client.step()
        assert [claims["cid"] for claims in server.receipts.values()] == [cid, void]
        assert machine.till.sign_on("03", "482917").accepted


class TestUnwelcome:
    @pytest.mark.parametrize("code", ["revoked", "quarantined", "upgrade_required"])
    def test_it_keeps_asking_slowly_and_forgets_nothing(
        self, machine: Machine, server: KeyedServer, code: str
    ) -> None:
        machine.client._cap = 3600
        server.closed["commands"] = Reply(403, {"code": code})
        before = machine.state
        for _ in range(5):
            assert machine.client.step() >= 900
        assert machine.state.trouble == code
        machine.till.alter(trouble="")
        assert machine.state == before
        server.closed.clear()
        cid = server.issue("lock", op=None)
        machine.client.step()
        assert server.outcome(cid) == ["applied"] and machine.state.trouble == ""

    def test_a_door_that_is_shut_does_not_stop_the_poll(self, machine: Machine, server: KeyedServer) -> None:
        server.closed = {path: problem("quarantined") for path in ("inventory", "recoveries")}
        machine.till.forgot("03")
        cid = server.issue("lock", op=None)
        machine.client.step()
        assert server.outcome(cid) == ["applied"]
        assert machine.state.asking and machine.state.asking.state == "refused"
