"""Withdrawing: at once while the terminal has nothing, and with its word once it holds the token."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from terminals.commands.issuing import store
from terminals.commands.moving import State, move
from terminals.models import Command
from terminals.protocol import VOID

# Reasons of a withdrawn command whose token was handed over all the same: the terminal is asked what it did,
# and in the end it may not have told.
HANDED_OVER = "handed_over"
UNHEARD = "unheard"


def cancel(command_id: str, by: str) -> bool:
    """Withdraw a command; whether it is withdrawn, or being withdrawn, by this call.

    What the terminal has not fetched is over at once. What it has fetched is offered no more, and a `void`
    asks the terminal to leave it: only its answer, or the clock, ends it. A void itself is not withdrawn.
    """
    command = Command.objects.get(pk=command_id)
    while command.kind != VOID and command.state in (State.PENDING_APPROVAL, State.QUEUED, State.FETCHED):
        if _withdraw(command, by):
            return True
        command.refresh_from_db()
    return False


def _withdraw(command: Command, by: str) -> bool:
    if command.state != State.FETCHED:
        return move(command, State.CANCELLED, actor=by)
    with transaction.atomic():
        moved = move(command, State.CANCELLING, actor=by)
        if moved:
            _ask_back(command, by)
    return moved


def _ask_back(command: Command, by: str) -> None:
    """Issue a void: it has the higher number, so once it is carried out the command cannot be any more.

    It lives no longer than what it withdraws, and the number of open commands does not stop it.
    """
    if Command.objects.filter(terminal=command.terminal_id, kind=VOID, args__ref=command.pk).exists():
        return
    void = Command(
        terminal=command.terminal,
        kind=VOID,
        args={"ref": command.pk},
        requested_by=by,
        created_at=timezone.now(),
        expires_at=command.expires_at,
    )
    store(void)


def void_ended(void: Command, *, told: bool) -> None:
    """Draw the conclusion for what a void withdrew, in its transaction; `told` whether the terminal spoke.

    A terminal that had carried the command out says so before it answers the void (protocol §5); so what
    is still being withdrawn when the answer comes was withdrawn in time.
    """
    withdrawn = Command.objects.filter(pk=void.args.get("ref"), terminal=void.terminal_id).first()
    if withdrawn is None:
        return
    if told and withdrawn.state == State.CANCELLING:
        move(withdrawn, State.CANCELLED, actor=void.terminal_id)
    crossed = Command.objects.filter(pk=withdrawn.pk, state=State.CANCELLED, reason=HANDED_OVER)
    crossed.update(reason="" if told else UNHEARD)


def mark_fetched(jtis: Iterable[str], at: datetime) -> int:
    """Note that terminals were handed these tokens; how many were news.

    By token, for a command that is signed anew meanwhile has not been fetched: it waits to be signed. One
    that was withdrawn at the same moment is asked back, for only the terminal knows which came first.
    """
    wanted = list(jtis)
    for command in Command.objects.filter(jti__in=wanted, state=State.CANCELLED, reason=""):
        _crossed(command, at)
    news = 0
    for command in Command.objects.filter(jti__in=wanted, state=State.QUEUED):
        same = {"jti": command.jti}
        news += move(command, State.FETCHED, actor=command.terminal_id, only_if=same, fetched_at=at)
    return news


def _crossed(command: Command, at: datetime) -> None:
    """A token was handed over while its command was withdrawn: ask it back. A void needs no asking."""
    with transaction.atomic():
        unmarked = Command.objects.filter(
            pk=command.pk, state=State.CANCELLED, reason="", fetched_at__isnull=True
        )
        marked = unmarked.exclude(kind=VOID).update(reason=HANDED_OVER, fetched_at=at) == 1
        if marked and command.expires_at > timezone.now():
            _ask_back(command, "server")
