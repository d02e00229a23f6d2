"""Guarded commands: a backup or a theft, a second person, a day to find one, and what a wipe leaves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from portal.audit import Tag
from portal.models import AuditEvent
from terminals import commands, delivery, receipts
from terminals.commands import CannotApprove, CannotIssue
from terminals.models import Command, CommandToken, Terminal
from terminals.protocol import FACTORY_RESET, OPEN
from tests.cast import PairedTill, payload
from tests.portal.parallel import in_parallel
from tests.terminals.work import fresh, tokens_in_inbox

State = Command.State
pytestmark = pytest.mark.django_db(transaction=True)
BACKUP = "backup-2026-11-24"


def asked(till: PairedTill, **guard: Any) -> Command:
    """A factory reset somebody asked for, with a backup an hour old unless told otherwise."""
    hour_ago = int(timezone.now().timestamp()) - 3600
    guard = guard or {"bk": BACKUP, "bk_at": hour_ago}
    more: dict[str, Any] = {"args": {"scope": "all"}, "requested_by": "user:1"}
    return commands.issue(till.terminal, FACTORY_RESET, guard=guard, **more)


class TestGuards:
    def test_without_a_guard_it_is_refused(self, till: PairedTill) -> None:
        with pytest.raises(CannotIssue, match="guarded"):
            commands.issue(till.terminal, FACTORY_RESET, args={"scope": "all"}, requested_by="user:1")

    @pytest.mark.parametrize(
        "guard",
        [
            {"waive": "stolen"},
            {"waive": "lost"},
            {"bk": "b"},
            {"bk": "", "bk_at": 0},
            {"bk": "b", "bk_at": 0},
            {"bk": "b", "bk_at": 2**40},
            {"bk": "b", "bk_at": True},
            {"bk": "b", "bk_at": 0, "waive": "stolen"},
        ],
    )
    def test_an_unsound_guard_is_refused(self, till: PairedTill, guard: dict[str, Any]) -> None:
        with pytest.raises(CannotIssue, match="guarded"):
            asked(till, **guard)

    def test_a_stopped_terminal_needs_no_backup(self, till: PairedTill) -> None:
        Terminal.objects.update(state=Terminal.State.QUARANTINED)
        assert asked(till, waive="stolen").state == State.PENDING_APPROVAL

    def test_nothing_is_signed_until_a_second_person_approves(self, till: PairedTill) -> None:
        command = asked(till)
        delivery.sweep()
        assert not delivery.deliver(command.pk) and not CommandToken.objects.exists()
        commands.approve(command.pk, "user:2")
        assert delivery.deliver(command.pk)
        claims = payload(fresh(command).token)
        assert (claims["by"], claims["apr"], claims["guard"]["bk"]) == ("user:1", ["user:2"], BACKUP)
        assert claims["exp"] - claims["iat"] <= 3600
        assert AuditEvent.objects.filter(tag=Tag.COMMAND_APPROVED, actor="user:2").exists()

    def test_who_asked_does_not_approve(self, till: PairedTill) -> None:
        command = asked(till)
        with pytest.raises(CannotApprove, match="same_person"):
            commands.approve(command.pk, "user:1")
        with pytest.raises(IntegrityError, match="command_four_eyes"):
            Command.objects.filter(pk=command.pk).update(approved_by="user:1")

    def test_the_database_lets_no_unapproved_one_out(self, till: PairedTill) -> None:
        command = asked(till)
        with pytest.raises(IntegrityError, match="command_guarded_needs_approval"):
            Command.objects.filter(pk=command.pk).update(state=State.QUEUED)

    def test_a_backup_that_has_grown_old_meanwhile_is_not_approved(self, till: PairedTill) -> None:
        command = asked(till)
        Command.objects.update(guard={"bk": "b", "bk_at": int(timezone.now().timestamp()) - 90_000})
        with pytest.raises(CannotApprove, match="guarded"):
            commands.approve(command.pk, "user:2")

    def test_after_a_day_nobody_approves_it_any_more(self, till: PairedTill) -> None:
        command = asked(till)
        assert command.expires_at - command.created_at == timedelta(hours=24)
        Command.objects.update(expires_at=timezone.now() - timedelta(seconds=121))
        commands.expire_due(timezone.now())
        assert fresh(command).state == State.EXPIRED
        with pytest.raises(CannotApprove, match="over"):
            commands.approve(command.pk, "user:2")

    def test_it_can_be_turned_down(self, till: PairedTill) -> None:
        command = asked(till)
        assert commands.cancel(command.pk, "user:2") and fresh(command).state == State.CANCELLED

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (Terminal.State.ACTIVE, Terminal.State.NEW),
            (Terminal.State.QUARANTINED, Terminal.State.REVOKED),
        ],
    )
    def test_once_applied_the_record_has_no_keys_and_nothing_waits(
        self, till: PairedTill, before: str, after: str
    ) -> None:
        Terminal.objects.update(state=before)
        command = asked(till)
        commands.approve(command.pk, "user:2")
        assert delivery.deliver(command.pk)
        receipts.accept(till.terminal, [till.receipt(fresh(command).token)])
        wiped = Terminal.objects.get()
        assert (wiped.state, wiped.sign_kid, wiped.enc_key, wiped.offline_key) == (after, None, None, "")
        assert not Command.objects.filter(state__in=OPEN).exists() and not tokens_in_inbox(till.terminal)


def test_two_approvals_at_once_let_it_go_once(till: PairedTill) -> None:
    command = asked(till)

    def approve() -> bool:
        try:
            commands.approve(command.pk, "user:2")
        except CannotApprove:
            return False
        return True

    assert in_parallel(6, approve).count(True) == 1
