"""What the server ends or begins anew by itself: clocks, changed keys, stopped terminals, a cleared queue."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction

from portal.audit import Tag, record
from portal.celery import nudge
from terminals.commands.issuing import SERVED_IN_QUARANTINE
from terminals.commands.moving import State, forget, move, settle
from terminals.commands.withdrawing import void_ended
from terminals.models import Command, Terminal
from terminals.protocol import OPEN, SKEW, VOID

# The reason of what a person ended because it was stuck.
CLEARED = "cleared"
# A command that was signed so often and still refused is a matter for a person.
ATTEMPTS_MAX = 8
EXPIRE_BATCH = 500


def reissue(command: Command) -> bool:
    """Have an open command signed anew under the same id; whether it is queued again."""
    return _begin_anew(command)


def readdress(command: Command, terminal: Terminal) -> bool:
    """Have an open command wait for another terminal, under the same id; whether it does.

    For a unit that takes the place of another, in the caller's transaction (see `terminals.life.swap`).
    """
    return _begin_anew(command, terminal=terminal)


def _begin_anew(command: Command, **changes: Any) -> bool:
    blank = {"seq": None, "jti": None, "token": "", "token_digest": "", "jkt": "", "pushed_at": None}
    fresh = blank | {"claimed_until": None, "claims": 0, "fetched_at": None, "retry_at": None} | changes
    old_jti, old_terminal_id = command.jti, command.terminal_id
    with transaction.atomic():
        done = Command.objects.filter(pk=command.pk, state=State.QUEUED).update(**fresh) == 1
        command.refresh_from_db()
        done = done or settle(command, State.QUEUED, actor="server", **fresh)
        if done:
            transaction.on_commit(partial(forget, old_terminal_id, [old_jti]))
            transaction.on_commit(partial(nudge, "terminals.tasks.deliver", command.pk))
    return done


def key_changed(terminal: Terminal) -> None:
    """After a terminal got new keys: end what only its old key can open, sign the rest anew.

    The merchant is asked to set the password again rather than waiting for what nobody can read. What was
    being withdrawn was signed for the old key, so the new one refuses it: it is withdrawn.
    """
    for command in Command.objects.filter(terminal=terminal, state__in=OPEN):
        if command.state == State.CANCELLING and command.jkt != terminal.sign_kid:
            settle(command, State.CANCELLED, actor="server")
        elif command.sealed and command.sealed_kid != terminal.enc_kid:
            settle(command, State.EXPIRED, actor="server", reason="key_changed")
        elif command.jkt and command.jkt != terminal.sign_kid:
            reissue(command)


def end_all(terminal: Terminal, reason: str, *, keep: Collection[str] = SERVED_IN_QUARANTINE) -> None:
    """End whatever is open for a terminal that must not be served any more, except these kinds."""
    for command in Command.objects.filter(terminal=terminal, state__in=OPEN).exclude(kind__in=keep):
        end(command, actor="server", reason=reason)


def end(command: Command, *, actor: str, reason: str) -> bool:
    """End one open command for good, whatever the terminal has done with it; whether this call did."""
    with transaction.atomic():
        ended = settle(command, State.EXPIRED, actor=actor, reason=reason)
        if ended and command.kind == VOID:
            void_ended(command, told=False)
    return ended


def clear(terminal: Terminal, chosen: Iterable[str], *, by: str, why: str) -> int:
    """A person ends what is stuck, and says why; how many. What was fetched may still be reported."""
    merchant, ended = terminal.store.merchant, 0
    for command in Command.objects.filter(terminal=terminal, pk__in=list(chosen), state__in=OPEN):
        with transaction.atomic():
            if end(command, actor=by, reason=CLEARED):
                record(Tag.COMMAND_CLEARED, actor=by, merchant=merchant, subject=command.pk, why=why)
                ended += 1
    return ended


def expire_due(now: datetime) -> int:
    """End what is past its time by more than the clocks may differ; how many."""
    unfinished = Command.objects.filter(finished_at__isnull=True, applied_at__isnull=True)
    late = unfinished.filter(expires_at__lt=now - timedelta(seconds=SKEW))
    return sum(_expire(command) for command in late.order_by("expires_at")[:EXPIRE_BATCH])


def _expire(command: Command) -> bool:
    with transaction.atomic():
        expired = move(command, State.EXPIRED, actor="server", reason="expired")
        if expired and command.kind == VOID:
            void_ended(command, told=False)
    return expired
