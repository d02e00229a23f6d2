"""How a command moves: one compare-and-set along the table, told in the timeline (design D15)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import structlog
from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from terminals import inbox
from terminals.models import Command, CommandEvent
from terminals.protocol import ALLOWED, FETCHED, HARD_FINAL, QUEUED, SOFT_FINAL

log = structlog.get_logger(__name__)
State = Command.State
FINAL = HARD_FINAL | SOFT_FINAL
# In these the terminal is offered the token; in no other.
OFFERED = frozenset({QUEUED, FETCHED})
# Sent once a command is final, inside the transaction that made it so.
command_finished = Signal()


def settle(command: Command, to: str, *, actor: str, **changes: Any) -> bool:
    """Like `move`, but from wherever the command has got to meanwhile, as long as there is a way."""
    while to in ALLOWED[command.state]:
        if move(command, to, actor=actor, **changes):
            return True
        command.refresh_from_db()
    return False


def move(
    command: Command, to: str, *, actor: str = "", only_if: Mapping[str, Any] | None = None, **changes: Any
) -> bool:
    """Move a command along an allowed edge by compare-and-set; whether this call moved it.

    `only_if` names columns that must be as given besides the state. Where the token is not offered any more,
    what was sealed and signed is erased and the inbox forgets it after commit. On a final state
    `command_finished` is sent. Raises ValueError for an edge that does not exist.
    """
    origin, jti = command.state, command.jti
    if to not in ALLOWED[origin]:
        raise ValueError(f"no way from {origin} to {to}")
    if to not in OFFERED:
        changes |= {"sealed": "", "token": "", "retry_at": None}
    if to in FINAL:
        changes |= {"finished_at": timezone.now()}
    with transaction.atomic():
        expected = {**(only_if or {}), "pk": command.pk, "state": origin}
        if Command.objects.filter(**expected).update(state=to, **changes) != 1:
            return False
        command.refresh_from_db()
        note(command, origin, to, actor, reason=command.reason)
        if to not in OFFERED:
            transaction.on_commit(partial(forget, command.terminal_id, {jti, command.jti}))
        if to in FINAL:
            command_finished.send(sender=Command, command=command)
    return True


def note(command: Command, origin: str, to: str, actor: str, **facts: str) -> None:
    """Write a line of the timeline; empty facts are left out."""
    told = {name: fact for name, fact in facts.items() if fact}
    CommandEvent.objects.create(command=command, from_state=origin, to_state=to, actor=actor, facts=told)


def forget(terminal_id: str, jtis: Iterable[str | None]) -> None:
    """Take tokens out of the inbox; if Redis is away, the sweeper does it later."""
    try:
        inbox.drop(terminal_id, [jti for jti in jtis if jti is not None])
    except inbox.InboxUnavailable:
        log.info("inbox_away", terminal=terminal_id)
