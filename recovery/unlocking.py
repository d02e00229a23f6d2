"""The terminal has no network: its digits are answered here, after the same gates as ever (protocol §9)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from recovery.authority import actor_of, authorise
from recovery.models import Recovery
from recovery.steps import LIFE, STATUS_LIFE, OutOfStep, step
from recovery.telling import tell_of
from terminals import commands, offline
from terminals.models import Command, OfflineUnlock, Terminal

State = Recovery.State
# Why a recovery is done without a command.
ANSWERED = "answered_offline"


def may_unlock(recovery: Recovery, now: datetime) -> bool:
    """Whether this recovery could end with an offline answer: chosen, or sent and not fetched, and fresh."""
    terminal = recovery.terminal
    if terminal is None or not offline.possible(terminal) or recovery.proved_at is None:
        return False
    if recovery.state == State.DISPATCHED:
        command = recovery.command
        waiting = command is not None and command.state == Command.State.QUEUED
        return waiting and recovery.proved_at > now - LIFE
    return recovery.state == State.SETTING


def unlock(recovery: Recovery, question: str, hotline: str) -> str:
    """The eight digits for the terminal's question; the recovery is done with it.

    What was on its way to the terminal for this operator is withdrawn, for the password that is chosen now is
    the newer one. Raises NotAllowed, OutOfStep, offline.CannotUnlock.
    """
    if recovery.reason == ANSWERED:
        return _once_more(recovery, question)
    if not may_unlock(recovery, timezone.now()):
        raise OutOfStep
    terminal = authorise(recovery, recovery.operator_number)
    challenge = offline.consider(terminal, recovery.operator_number, question)
    now, actor = timezone.now(), actor_of(recovery)
    with transaction.atomic():
        step(
            recovery,
            State.SETTING,
            State.DISPATCHED,
            state=State.DONE,
            reason=ANSWERED,
            command=None,
            finished_at=now,
            expires_at=now + STATUS_LIFE,
        )
        _withdraw_older(terminal, recovery.operator_number, actor)
        answer = offline.answer(challenge, requested_by=actor, recovery_ref=recovery.id)
        facts = {"operator": recovery.operator_number, "terminal": terminal.number, "hotline": hotline}
        tell_of(recovery, "unlocking", facts)
    return answer


def answered(recovery: Recovery) -> OfflineUnlock | None:
    """What was answered in this recovery, and whether the terminal has confirmed it since."""
    return offline.of_recovery(recovery.id) if recovery.reason == ANSWERED else None


def _once_more(recovery: Recovery, question: str) -> str:
    unlock = answered(recovery)
    answer = offline.once_more(unlock, question) if unlock is not None else None
    if answer is None:
        raise OutOfStep
    return answer


def _withdraw_older(terminal: Terminal, operator_number: str, actor: str) -> None:
    open_states = (Command.State.QUEUED, Command.State.FETCHED)
    older = Command.objects.filter(
        terminal=terminal,
        kind=Command.Kind.SET_CREDENTIAL,
        operator_number=operator_number,
        state__in=open_states,
    )
    for command_id in older.values_list("pk", flat=True):
        commands.cancel(command_id, actor)
