"""What terminals report: applied, rejected, deferred, signed on; and what follows for the command."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from portal.audit import Tag, record
from terminals.commands.ending import end_all
from terminals.commands.moving import FINAL, State, command_finished, forget, move
from terminals.commands.wiping import wiped
from terminals.commands.withdrawing import HANDED_OVER, mark_fetched, void_ended
from terminals.models import Command, Operator
from terminals.protocol import (
    CONFLICT,
    FACTORY_RESET,
    LATE,
    OK,
    RC_UNREAD,
    SOFT_FINAL,
    VOID,
)

# Refusals that judge a token before anything is done: after `applied` they say that a copy came again.
BEFORE_THE_ACT = RC_UNREAD | {
    "key_scope", "wrong_issuer", "wrong_audience", "wrong_key", "expired", "not_yet_valid", "seq_replayed",
    "seq_gap",
}  # fmt: skip


def applied(command: Command, at: datetime) -> str:
    """Note a valid `applied` receipt: "ok", "late" after a soft end, or "conflict" after a refusal."""
    late = command.state in SOFT_FINAL
    if command.state == State.APPLIED:
        return OK
    if command.state == State.REJECTED:
        return CONFLICT
    facts: dict[str, Any] = {"applied_at": at, "late": late, "reason": ""}
    if command.fetched_at is None:
        facts["fetched_at"] = at
    with transaction.atomic():
        moved = move(command, State.APPLIED, actor=command.terminal_id, **facts)
        if moved:
            _follow(command)
    if not moved:
        command.refresh_from_db()
        return applied(command, at)
    if late:
        merchant = command.terminal.store.merchant
        record(Tag.COMMAND_LATE, actor=command.terminal_id, merchant=merchant, subject=command.id)
    return LATE if late else OK


def _follow(command: Command) -> None:
    """What is now true besides."""
    if command.kind == VOID:
        void_ended(command, told=True)
    elif command.kind == FACTORY_RESET:
        end_all(command.terminal, "wiped", keep=frozenset())
        wiped(command.terminal_id)


def rejected(command: Command, reason: str, hwm: int = 0) -> str:
    """Note a valid `rejected` receipt: "ok", "late", or "conflict" with an `applied` that came before.

    `hwm` is the terminal's mark under its signature: a void that used up its number did its work even if
    the terminal does not know the command.
    """
    if command.state == State.APPLIED:
        return LATE if reason in BEFORE_THE_ACT else CONFLICT
    Command.objects.filter(pk=command.pk, state=State.CANCELLED, reason=HANDED_OVER).update(reason="")
    if command.state in FINAL:
        return LATE
    with transaction.atomic():
        moved = move(command, State.REJECTED, actor=command.terminal_id, reason=reason)
        if moved and command.kind == VOID:
            void_ended(command, told=hwm >= (command.seq or 0) > 0)
    if not moved:
        command.refresh_from_db()
        return rejected(command, reason, hwm)
    return OK


def deferred(command: Command, retry_at: datetime) -> None:
    """Note that the terminal is busy: it is offered the token again at `retry_at`, by the sweeper."""
    mark_fetched([command.jti or ""], timezone.now())
    with transaction.atomic():
        waiting = Command.objects.filter(pk=command.pk, jti=command.jti, state=State.FETCHED)
        if waiting.update(retry_at=retry_at, defers=F("defers") + 1) == 1:
            transaction.on_commit(partial(forget, command.terminal_id, [command.jti]))
    command.refresh_from_db()


def signed_on(command: Command, at: datetime) -> str:
    """Note the operator's first sign-on after the command, which is therefore in force; as for `applied`."""
    outcome = applied(command, at)
    if outcome == CONFLICT:
        return outcome
    Command.objects.filter(pk=command.pk, signed_on_at__isnull=True).update(signed_on_at=at)
    Operator.objects.filter(terminal_id=command.terminal_id, number=command.operator_number).update(
        last_signed_on_at=at
    )
    command.refresh_from_db()
    command_finished.send(sender=Command, command=command)
    return outcome
