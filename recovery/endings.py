"""How a recovery ends: its command has ended, or nobody finished it in time."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from portal.audit import Tag, record
from recovery.desk.outcome import close_ticket_of
from recovery.models import Recovery
from recovery.steps import UNFINISHED
from recovery.telling import tell_of
from terminals import commands
from terminals.models import Command

State = Recovery.State


def close(command: Command, hotline: str) -> bool:
    """Note how the command of a recovery ended, and tell the phone what happened at the terminal, once.

    A receipt may come late: what had failed is then done after all.
    """
    applied = command.state == Command.State.APPLIED
    open_states = (State.DISPATCHED, State.FAILED) if applied else (State.DISPATCHED,)
    recovery = (
        Recovery.objects.select_related("merchant")
        .filter(command_id=command.pk, state__in=open_states)
        .first()
    )
    if recovery is None:
        return False
    state = State.DONE if applied else State.FAILED
    reason = "" if applied else command.reason or command.state
    with transaction.atomic():
        mine = Recovery.objects.filter(pk=recovery.pk, command_id=command.pk, state=recovery.state)
        if mine.update(state=state, reason=reason, finished_at=timezone.now()) != 1:
            return False
        record(
            Tag.RECOVERY_FINISHED,
            actor="terminal",
            merchant=recovery.merchant,
            subject=recovery.id,
            state=state,
        )
        if applied:
            facts = {
                "operator": command.operator_number,
                "terminal": command.terminal.number,
                "hotline": hotline,
            }
            tell_of(recovery, "choosing" if command.is_choice else "applied", facts)
            close_ticket_of(recovery)
    return True


def give_up_expired(now: datetime) -> int:
    """End journeys nobody finished in time; those with a ticket are with support. Returns how many."""
    over = Recovery.objects.filter(state__in=UNFINISHED, expires_at__lte=now)
    with_ticket = Recovery.objects.filter(state__in=UNFINISHED, tickets__isnull=False).values("pk")
    handed = over.filter(pk__in=with_ticket).update(state=State.ESCALATED, finished_at=now)
    return handed + over.update(state=State.ABANDONED, finished_at=now)


def unnoticed_endings() -> QuerySet[Command]:
    """Commands that ended while their recovery does not say so."""
    ended = Command.objects.filter(state__in=commands.FINAL, recovery__state=State.DISPATCHED)
    late = Command.objects.filter(state=Command.State.APPLIED, recovery__state=State.FAILED)
    return (ended | late).select_related("terminal")[:200]
