"""Distrust in stages: stopped at the next poll, cut off by a clock, taken back by a person."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from portal.audit import Tag
from portal.models import AuditEvent
from terminals import commands, delivery, requests
from terminals.life import lives, pairing_codes, stopping
from terminals.models import Command, RecoveryRequest, Terminal
from terminals.protocol import LOCK, UNLOCK, ProtocolError
from tests.cast import PairedTill, make_terminal
from tests.portal.parallel import at_once, in_parallel
from tests.terminals.units import Unit
from tests.terminals.work import delivered, fresh, reset, tokens_in_inbox

pytestmark = pytest.mark.django_db(transaction=True)
State, Reason = Terminal.State, Terminal.StopReason


def now_of(till: PairedTill) -> Terminal:
    """The terminal as the database has it."""
    return Terminal.objects.get(pk=till.terminal.pk)


def ask(till: PairedTill) -> Any:
    """Some request of the terminal."""
    return Client().post(
        "/terminal/v1/receipts", {"receipts": ["x"]}, content_type="application/json",
        headers=till.authorization(),
    )  # fmt: skip


def the_lock(till: PairedTill) -> Command:
    """The command that locks the whole terminal."""
    return Command.objects.get(terminal=till.terminal, kind=LOCK)


def days(count: float) -> timedelta:
    """So many days."""
    return timedelta(days=count)


class TestQuarantine:
    def test_it_is_stopped_once(self, till: PairedTill) -> None:
        assert stopping.quarantine(till.terminal, "user:1", Reason.LOST)
        assert not stopping.quarantine(till.terminal, "user:2", Reason.STOLEN)
        now = now_of(till)
        assert (now.state, now.stop_reason) == (State.QUARANTINED, Reason.LOST) and now.stopped_at
        assert AuditEvent.objects.filter(tag=Tag.TERMINAL_STOPPED).count() == 1

    def test_what_waits_ends_and_nothing_new_is_taken(self, till: PairedTill) -> None:
        command = delivered(till)
        stopping.quarantine(till.terminal, "user:1")
        assert (fresh(command).state, fresh(command).reason) == (Command.State.EXPIRED, "quarantined")
        assert tokens_in_inbox(till.terminal) == []
        for kind in (reset, unlock):
            with pytest.raises(commands.CannotIssue):
                kind(till)

    def test_a_recovery_at_its_screen_is_over_and_none_begins(self, till: PairedTill) -> None:
        asked = requests.open_request(till.terminal, "03")
        stopping.quarantine(till.terminal, "user:1")
        assert RecoveryRequest.objects.get(pk=asked.rid).state == RecoveryRequest.State.EXPIRED
        with pytest.raises(ProtocolError, match="quarantined"):
            requests.open_request(now_of(till), "03")

    def test_the_offline_key_is_destroyed(self, till: PairedTill) -> None:
        Terminal.objects.update(offline_key="secret", pending_offline_key="next")
        stopping.quarantine(till.terminal, "user:1")
        assert (now_of(till).offline_key, now_of(till).pending_offline_key) == ("", "")

    def test_a_stolen_one_is_told_to_lock_itself_and_a_lost_one_is_not(self, till: PairedTill) -> None:
        stopping.quarantine(till.terminal, "user:1", Reason.STOLEN)
        assert the_lock(till).operator_number == "" and delivery.deliver(the_lock(till).pk)
        other = make_terminal()
        stopping.quarantine(other, "user:1", Reason.LOST)
        assert not Command.objects.filter(terminal=other).exists()

    def test_a_terminal_that_cannot_lock_is_stopped_all_the_same(self, till: PairedTill) -> None:
        Terminal.objects.update(capabilities={"cmds": ["set_credential"]})
        assert stopping.quarantine(till.terminal, "user:1", Reason.STOLEN)
        assert not Command.objects.exists()

    def test_it_may_still_ask_but_gets_no_code(self, till: PairedTill) -> None:
        stopping.quarantine(till.terminal, "user:1")
        assert ask(till).status_code == 200
        with pytest.raises(pairing_codes.NotPairable):
            pairing_codes.create_pairing_code(now_of(till), "user:1")

    def test_a_code_that_was_out_pairs_nothing_any_more(self, issuer_keys: object) -> None:
        terminal = make_terminal()
        code = pairing_codes.create_pairing_code(terminal, "user:1").code
        stopping.quarantine(terminal, "user:1")
        assert Unit().enroll(code).status_code == 401

    def test_a_terminal_stopped_between_the_two_steps_stays_stopped(self, issuer_keys: object) -> None:
        terminal, unit = make_terminal(), Unit()
        answer = unit.enroll(pairing_codes.create_pairing_code(terminal, "user:1").code)
        stopping.quarantine(terminal, "user:1")
        assert unit.confirm(answer).status_code == 401
        assert Terminal.objects.get().state == State.QUARANTINED

    def test_of_many_who_stop_it_at_once_one_does(self, till: PairedTill) -> None:
        done = in_parallel(5, lambda: stopping.quarantine(till.terminal, "user:1", Reason.STOLEN), width=5)
        assert sorted(done) == [False] * 4 + [True] and Command.objects.filter(kind=LOCK).count() == 1


def unlock(till: PairedTill) -> Command:
    """Somebody asks for an unlock."""
    return commands.issue(till.terminal, UNLOCK, operator_number="03", requested_by="user:1")


class TestClocks:
    def stopped(self, till: PairedTill, reason: str, ago: timedelta) -> None:
        """Stop it so long ago."""
        stopping.quarantine(till.terminal, "user:1", reason)
        then = timezone.now() - ago
        Terminal.objects.update(stopped_at=then)
        Command.objects.update(created_at=then)

    @pytest.mark.parametrize(("ago", "state"), [(29.9, State.QUARANTINED), (30.1, State.REVOKED)])
    def test_after_thirty_days_it_is_cut_off(self, till: PairedTill, ago: float, state: str) -> None:
        self.stopped(till, Reason.LOST, days(ago))
        lives.sweep()
        assert now_of(till).state == state and ask(till).status_code == (
            403 if state == State.REVOKED else 200
        )

    @pytest.mark.parametrize(("ago", "state"), [(0.9, State.QUARANTINED), (1.1, State.REVOKED)])
    def test_a_day_after_it_has_locked_itself_it_is_cut_off(
        self, till: PairedTill, ago: float, state: str
    ) -> None:
        self.stopped(till, Reason.STOLEN, days(2))
        commands.applied(the_lock(till), timezone.now() - days(ago))
        lives.sweep()
        assert now_of(till).state == state

    def test_a_lock_from_before_it_was_stopped_does_not_count(self, till: PairedTill) -> None:
        lock = commands.issue(till.terminal, LOCK, requested_by="user:1")
        commands.applied(lock, timezone.now() - days(3))
        Command.objects.update(created_at=timezone.now() - days(5))
        stopping.quarantine(till.terminal, "user:1", Reason.LOST)
        lives.sweep()
        assert now_of(till).state == State.QUARANTINED

    def test_while_a_wipe_is_under_way_it_is_still_heard(self, till: PairedTill) -> None:
        self.stopped(till, Reason.STOLEN, days(2))
        commands.applied(the_lock(till), timezone.now() - days(1.5))
        commands.issue(
            till.terminal,
            "factory_reset",
            args={"scope": "all"},
            guard={"waive": "stolen"},
            requested_by="user:1",
        )
        lives.sweep()
        assert now_of(till).state == State.QUARANTINED

    def test_one_stopped_before_there_was_a_clock_gets_one(self, till: PairedTill) -> None:
        Terminal.objects.update(state=State.QUARANTINED)
        lives.sweep()
        assert now_of(till).stopped_at is not None and stopping.cut_off_at(now_of(till)) is not None


class TestRevoked:
    def test_it_is_told_so_and_everything_ends(self, till: PairedTill) -> None:
        stopping.quarantine(till.terminal, "user:1", Reason.STOLEN)
        assert stopping.revoke(till.terminal, "user:2", "gone") and not stopping.revoke(
            till.terminal, "x", "y"
        )
        assert fresh(the_lock(till)).state == Command.State.EXPIRED
        answer = ask(till)
        assert (answer.status_code, answer.json()["code"]) == (403, "revoked")


class TestRelease:
    def test_one_that_was_mislaid_goes_on_at_once(self, till: PairedTill) -> None:
        stopping.quarantine(till.terminal, "user:1", Reason.LOST)
        assert stopping.release(till.terminal, "user:2", "it lay in the van")
        now = now_of(till)
        assert (now.state, now.stop_reason, now.stopped_at) == (State.ACTIVE, "", None)
        assert ask(till).status_code == 200 and delivered(till)

    @pytest.mark.parametrize("reason", [Reason.STOLEN, Reason.TAMPER])
    def test_one_that_was_in_other_hands_is_paired_anew(self, till: PairedTill, reason: str) -> None:
        stopping.quarantine(till.terminal, "user:1", reason)
        assert stopping.release(till.terminal, "user:2", "the police brought it")
        assert now_of(till).state == State.NEW and ask(till).status_code == 401
        again = Unit().pair(pairing_codes.create_pairing_code(now_of(till), "user:2").code)
        assert now_of(again).state == State.ACTIVE

    def test_a_revoked_one_is_paired_anew_but_never_one_that_was_replaced(self, till: PairedTill) -> None:
        stopping.revoke(till.terminal, "user:1", "by mistake")
        assert stopping.comes_back_as(now_of(till)) == State.NEW
        Terminal.objects.filter(pk=till.terminal.pk).update(replaced_by=make_terminal())
        assert not stopping.release(till.terminal, "user:2", "please")

    def test_there_is_nothing_to_release_of_one_that_works(self, till: PairedTill) -> None:
        assert not stopping.release(till.terminal, "user:2", "why not")

    def test_release_and_the_clock_at_once_leave_one_of_the_two(self, till: PairedTill) -> None:
        stopping.quarantine(till.terminal, "user:1", Reason.LOST)
        Terminal.objects.update(stopped_at=timezone.now() - days(31))
        at_once(lives.sweep, partial(stopping.release, till.terminal, "user:2", "found"))
        assert now_of(till).state in (State.ACTIVE, State.REVOKED, State.NEW)
