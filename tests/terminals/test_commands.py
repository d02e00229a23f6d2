"""Commands: who may issue one, how it moves, and what is left of it at the end."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.utils import timezone

from portal.audit import Tag
from portal.models import AuditEvent
from terminals import commands, delivery
from terminals.commands import CannotIssue, command_finished
from terminals.models import Command, CommandEvent, Terminal
from terminals.protocol import (
    ALLOWED,
    LOCK,
    MESSAGE,
    OPEN,
    OPEN_COMMANDS_MAX,
    REBOOT,
    SET_CREDENTIAL,
    UNLOCK,
)
from tests.cast import PairedTill, make_terminal, pair_on_paper, payload
from tests.portal.parallel import in_parallel
from tests.terminals.work import PASSWORD, delivered, fresh, reset

State = Command.State
pytestmark = pytest.mark.django_db
for_real = pytest.mark.django_db(transaction=True)


def put(command: Command, state: str, **facts: Any) -> Command:
    """Set a state without asking whether there is a way to it."""
    Command.objects.filter(pk=command.pk).update(state=state, **facts)
    return fresh(command)


class TestIssuing:
    def test_a_password_is_sealed_at_once_and_kept_nowhere(self, till: PairedTill) -> None:
        command = reset(till)
        row = str(Command.objects.filter(pk=command.pk).values())
        assert PASSWORD not in row
        assert command.sealed.count(".") == 4 and command.sealed_kid == till.terminal.enc_kid

    def test_the_newest_reset_of_an_operator_replaces_the_older_one(self, till: PairedTill) -> None:
        older, other = reset(till), reset(till, "01")
        newer = reset(till)
        assert fresh(older).state == State.SUPERSEDED and fresh(older).superseded_by == newer
        assert fresh(other).state == fresh(newer).state == State.QUEUED

    def test_a_reset_that_was_fetched_is_replaced_as_well(self, till: PairedTill) -> None:
        older = put(reset(till), State.FETCHED)
        reset(till)
        assert fresh(older).state == State.SUPERSEDED

    def test_a_command_that_moved_on_meanwhile_is_replaced_from_there(self, till: PairedTill) -> None:
        stale = reset(till)
        put(stale, State.FETCHED)
        assert commands.settle(stale, State.SUPERSEDED, actor="test")
        assert fresh(stale).state == State.SUPERSEDED

    @for_real
    def test_twenty_resets_at_once_leave_one_open(self, till: PairedTill) -> None:
        in_parallel(20, lambda: reset(till).pk, width=10)
        states = Command.objects.values_list("state", flat=True)
        assert sorted(states) == [State.QUEUED] + [State.SUPERSEDED] * 19

    def test_an_unpaired_terminal_gets_no_command(self, issuer_keys: object) -> None:
        with pytest.raises(CannotIssue, match="not_active"):
            commands.issue(make_terminal(), SET_CREDENTIAL, operator_number="03", requested_by="user:1")

    def test_a_quarantined_terminal_gets_a_lock_and_nothing_else(self, till: PairedTill) -> None:
        Terminal.objects.update(state=Terminal.State.QUARANTINED)
        with pytest.raises(CannotIssue, match="quarantined"):
            reset(till)
        assert commands.issue(till.terminal, LOCK, operator_number="03", requested_by="staff:1")

    def test_an_operator_of_another_terminal_is_unknown_here(self, till: PairedTill) -> None:
        with pytest.raises(CannotIssue, match="no_operator"):
            reset(till, "42")

    def test_a_terminal_that_was_opened_by_force_gets_nothing(self, till: PairedTill) -> None:
        Terminal.objects.update(tampered_at=timezone.now())
        for kind in (SET_CREDENTIAL, LOCK):
            with pytest.raises(CannotIssue, match="tampered"):
                commands.issue(till.terminal, kind, operator_number="03", requested_by="user:1")

    def test_what_a_terminal_cannot_do_is_not_asked_of_it(self, till: PairedTill) -> None:
        Terminal.objects.update(capabilities={"keypad": "digits", "cmds": [SET_CREDENTIAL]})
        with pytest.raises(CannotIssue, match="unsupported"):
            commands.issue(till.terminal, REBOOT, requested_by="user:1")
        assert reset(till)

    @pytest.mark.parametrize(
        ("kind", "args"),
        [
            (MESSAGE, {}),
            (MESSAGE, {"text": ""}),
            (MESSAGE, {"text": "  "}),
            (MESSAGE, {"text": "two\nlines"}),
            (MESSAGE, {"text": "x" * 141}),
            (MESSAGE, {"text": "x", "more": 1}),
            (REBOOT, {"idle_max": -1}),
            (REBOOT, {"idle_max": 86_401}),
            (REBOOT, {"idle_max": True}),
            (LOCK, {"text": "x"}),
            (SET_CREDENTIAL, {"choose": False}),
        ],
    )
    def test_arguments_no_terminal_would_take_are_refused(
        self, till: PairedTill, kind: str, args: dict[str, Any]
    ) -> None:
        with pytest.raises(CannotIssue, match="arguments"):
            commands.issue(till.terminal, kind, args=args, requested_by="user:1")

    def test_a_message_and_a_restart_travel_with_their_arguments(self, till: PairedTill) -> None:
        for kind, args in ((MESSAGE, {"text": "客服电话 400"}), (REBOOT, {"idle_max": 600}), (REBOOT, {})):
            command = commands.issue(till.terminal, kind, args=args, requested_by="user:1")
            assert delivery.deliver(command.pk)
            assert payload(fresh(command).token).get("args", {}) == args

    def test_a_terminal_has_at_most_32_open_commands(self, till: PairedTill) -> None:
        for _ in range(OPEN_COMMANDS_MAX):
            commands.issue(till.terminal, UNLOCK, operator_number="03", requested_by="user:1")
        with pytest.raises(CannotIssue, match="too_many_open"):
            reset(till)


class TestMoving:
    def test_there_is_a_way_exactly_where_the_table_has_one(self, till: PairedTill) -> None:
        command = reset(till)
        for origin, to in product(ALLOWED, ALLOWED):
            put(command, origin)
            if to in ALLOWED[origin]:
                assert commands.move(fresh(command), to, actor="test") and fresh(command).state == to
                assert command.events.values_list("from_state", "to_state").last() == (origin, to)
            else:
                with pytest.raises(ValueError, match="no way"):
                    commands.move(fresh(command), to, actor="test")
                assert fresh(command).state == origin

    @for_real
    def test_of_many_at_once_one_moves_it(self, till: PairedTill) -> None:
        command = reset(till)
        moved = in_parallel(10, lambda: commands.move(fresh_copy(command), State.CANCELLED, actor="test"))
        assert moved.count(True) == 1
        assert CommandEvent.objects.filter(command=command, to_state=State.CANCELLED).count() == 1

    @pytest.mark.parametrize("end", sorted(set(ALLOWED) - OPEN))
    def test_at_the_end_nothing_sealed_or_signed_is_left(self, till: PairedTill, end: str) -> None:
        told: list[str] = []

        def listen(command: Command, **_: object) -> None:
            told.append(command.state)

        command = put(delivered(till), State.FETCHED if end != State.CANCELLED else State.QUEUED)
        command_finished.connect(listen)
        try:
            assert commands.move(command, end, actor="test")
        finally:
            command_finished.disconnect(listen)
        ended = fresh(command)
        assert (ended.sealed, ended.token) == ("", "")
        assert ended.finished_at is not None and told == [end]


def fresh_copy(command: Command) -> Command:
    """The command as it was when everybody looked at it."""
    return Command(**{field.attname: getattr(command, field.attname) for field in Command._meta.fields})


class TestFetching:
    def test_a_token_is_fetched_once(self, till: PairedTill) -> None:
        command, now = delivered(till), timezone.now()
        assert commands.mark_fetched([command.jti or ""], now) == 1
        assert commands.mark_fetched([command.jti or ""], timezone.now()) == 0
        assert fresh(command).fetched_at == now

    def test_a_command_signed_anew_meanwhile_still_waits_to_be_signed(self, till: PairedTill) -> None:
        command = delivered(till)
        assert commands.reissue(command)
        assert commands.mark_fetched([command.token_digest, command.jti or ""], timezone.now()) == 0
        assert fresh(command).state == State.QUEUED

    def test_a_withdrawal_that_crossed_its_token_is_marked_until_the_terminal_tells(
        self, till: PairedTill
    ) -> None:
        command = delivered(till)
        assert commands.cancel(command.pk, "user:1")
        assert commands.mark_fetched([command.jti or ""], timezone.now()) == 0
        assert (fresh(command).state, fresh(command).reason) == (State.CANCELLED, commands.HANDED_OVER)
        assert commands.rejected(fresh(command), "user_declined") == "late"
        assert (fresh(command).state, fresh(command).reason) == (State.CANCELLED, "")


class TestClocks:
    def test_a_command_expires_two_minutes_after_its_time(self, till: PairedTill) -> None:
        command, now = reset(till), timezone.now()
        Command.objects.update(expires_at=now - timedelta(seconds=119))
        assert commands.expire_due(now) == 0
        Command.objects.update(expires_at=now - timedelta(seconds=121))
        assert commands.expire_due(now) == 1
        assert fresh(command).state == State.EXPIRED


class TestLateReceipts:
    @pytest.mark.parametrize("end", [State.CANCELLED, State.SUPERSEDED, State.EXPIRED])
    def test_what_was_applied_after_its_end_is_told_as_late(self, till: PairedTill, end: str) -> None:
        command = put(reset(till), end)
        assert commands.applied(command, timezone.now()) == "late"
        assert fresh(command).state == State.APPLIED and fresh(command).late
        assert AuditEvent.objects.filter(tag=Tag.COMMAND_LATE, subject=command.pk).exists()

    def test_applied_after_a_refusal_is_a_contradiction(self, till: PairedTill) -> None:
        command = put(reset(till), State.REJECTED)
        assert commands.applied(command, timezone.now()) == "conflict"
        assert fresh(command).state == State.REJECTED


class TestNewKeys:
    def test_what_only_the_old_key_opens_ends_and_the_merchant_is_asked_again(self, till: PairedTill) -> None:
        command = delivered(till)
        commands.key_changed(pair_on_paper(till.terminal).terminal)
        ended = fresh(command)
        assert (ended.state, ended.reason) == (State.EXPIRED, "key_changed")

    def test_what_is_not_sealed_is_signed_anew_for_the_new_key(self, till: PairedTill) -> None:
        command = delivered(till, sealed_password=None, choose=True)
        commands.key_changed(pair_on_paper(till.terminal).terminal)
        again = fresh(command)
        assert (again.state, again.token, again.jti) == (State.QUEUED, "", None)

    def test_a_lost_terminal_keeps_its_lock_and_loses_the_rest(self, till: PairedTill) -> None:
        command = delivered(till)
        lock = commands.issue(till.terminal, LOCK, operator_number="03", requested_by="user:1")
        commands.end_all(till.terminal, "quarantined")
        assert fresh(command).state == State.EXPIRED and fresh(lock).state == State.QUEUED
