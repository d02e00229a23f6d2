"""Guarded commands: what must be shown before one is asked for, and the second person who lets it go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from portal.audit import Tag, record
from portal.celery import nudge
from terminals.commands.moving import State, move
from terminals.models import Command, Terminal
from terminals.protocol import BACKUP_AGE_MAX, FACTORY_RESET, LIFETIME, SKEW

GUARDED = frozenset({FACTORY_RESET})
APPROVAL_LIFE = timedelta(hours=24)
STOLEN = {"waive": "stolen"}
BACKUP_NAME = re.compile(r"[!-~]{1,64}")


class CannotApprove(Exception):
    """An approval was refused; `reason` is same_person, guarded or over."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_sound(guard: Mapping[str, Any] | None, terminal: Terminal, now: datetime) -> bool:
    """Whether it names a backup of the last 24 hours, or waives one for a terminal that was stopped."""
    if guard == STOLEN:
        return terminal.state == Terminal.State.QUARANTINED
    if guard is None or set(guard) != {"bk", "bk_at"}:
        return False
    name, taken = guard["bk"], guard["bk_at"]
    if not isinstance(name, str) or BACKUP_NAME.fullmatch(name) is None or type(taken) is not int:
        return False
    return -SKEW <= now.timestamp() - taken <= BACKUP_AGE_MAX


def approve(command_id: str, by: str) -> None:
    """A second person lets go what waits for one; its own, short life begins now. Raises CannotApprove."""
    command = Command.objects.select_related("terminal__store__merchant").get(pk=command_id)
    now = timezone.now()
    if by == command.requested_by:
        raise CannotApprove("same_person")
    if command.state != State.PENDING_APPROVAL or command.expires_at <= now:
        raise CannotApprove("over")
    if command.kind in GUARDED and not is_sound(command.guard, command.terminal, now):
        raise CannotApprove("guarded")
    until = now + timedelta(seconds=LIFETIME[command.kind])
    with transaction.atomic():
        if not move(command, State.QUEUED, actor=by, approved_by=by, expires_at=until):
            raise CannotApprove("over")
        merchant = command.terminal.store.merchant
        record(Tag.COMMAND_APPROVED, actor=by, merchant=merchant, subject=command.id, kind=command.kind)
        transaction.on_commit(partial(nudge, "terminals.tasks.deliver", command.id))
