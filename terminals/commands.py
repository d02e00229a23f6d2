"""Commands: issue, withdraw, supersede, expire. Nobody else writes `Command.state` (design D15)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from portal.audit import Tag, record
from portal.celery import nudge
from terminals import inbox, jose
from terminals.models import Command, CommandEvent, Operator, Terminal
from terminals.protocol import (
    ALLOWED,
    FACTORY_RESET,
    HARD_FINAL,
    LIFETIME,
    LOCK,
    OPEN,
    OPEN_COMMANDS_MAX,
    SET_CREDENTIAL,
    SKEW,
    SOFT_FINAL,
)

log = structlog.get_logger(__name__)
State = Command.State
FINAL = HARD_FINAL | SOFT_FINAL
# The reason of a withdrawn command whose token was handed to the terminal all the same.
HANDED_OVER = "handed_over"
# Sent once a command is final, inside the transaction that made it so.
command_finished = Signal()


class CannotIssue(Exception):
    """A command was refused; `reason` is not_active, quarantined, no_operator, too_many_open or guarded."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def issue(
    terminal: Terminal,
    kind: str,
    *,
    operator_number: str = "",
    sealed_password: str | None = None,
    choose: bool = False,
    change_at_next_login: bool = False,
    requested_by: str,
    recovery_ref: str = "",
) -> Command:
    """Store a command in the caller's transaction and have it delivered once that commits.

    A password is sealed to the terminal's key before this returns and is kept nowhere (design D4). An older
    unfinished command of the same kind for the same operator is superseded in the same transaction. Raises
    CannotIssue.
    """
    with transaction.atomic():
        # One issue at a time per terminal: the row lock makes "the newest wins" true under races as well.
        terminal = Terminal.objects.select_for_update(no_key=True).get(pk=terminal.pk)
        _may_issue(terminal, kind, operator_number)
        now = timezone.now()
        command = Command(
            terminal=terminal,
            kind=kind,
            operator_number=operator_number,
            args={"choose": True} if choose else {},
            requested_by=requested_by,
            recovery_ref=recovery_ref,
            created_at=now,
            expires_at=now + timedelta(seconds=LIFETIME[kind]),
        )
        if sealed_password is not None:
            _seal(command, terminal, sealed_password, change_at_next_login)
        command.save(force_insert=True)
        _note(command, "", State.QUEUED, requested_by)
        _supersede_older(command)
        record(
            Tag.COMMAND_ISSUED,
            actor=requested_by,
            merchant=terminal.store.merchant,
            subject=command.id,
            kind=kind,
        )
        transaction.on_commit(partial(nudge, "terminals.tasks.deliver", command.id))
    return command


def _may_issue(terminal: Terminal, kind: str, operator_number: str) -> None:
    if terminal.state == Terminal.State.QUARANTINED and kind not in (LOCK, FACTORY_RESET):
        raise CannotIssue("quarantined")
    if terminal.state not in (Terminal.State.ACTIVE, Terminal.State.QUARANTINED):
        raise CannotIssue("not_active")
    if kind == FACTORY_RESET:
        raise CannotIssue("guarded")
    if operator_number and not Operator.objects.filter(terminal=terminal, number=operator_number).exists():
        raise CannotIssue("no_operator")
    if Command.objects.filter(terminal=terminal, state__in=OPEN).count() >= OPEN_COMMANDS_MAX:
        raise CannotIssue("too_many_open")


def _seal(command: Command, terminal: Terminal, password: str, change: bool) -> None:
    plaintext = {
        "cid": command.id,
        "aud": terminal.id,
        "op": command.operator_number,
        "password": password,
        "change_at_next_login": change,
    }
    command.sealed = jose.seal(plaintext, terminal.enc_key or {}, command.id)
    command.sealed_kid = terminal.enc_kid or ""


def _supersede_older(command: Command) -> None:
    if command.kind != SET_CREDENTIAL:
        return
    older = Command.objects.filter(
        terminal=command.terminal, kind=command.kind, operator_number=command.operator_number, state__in=OPEN
    ).exclude(pk=command.pk)
    for old in older:
        settle(old, State.SUPERSEDED, actor=command.requested_by, superseded_by=command)


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

    `only_if` names columns that must be as given besides the state. On a final state what was sealed and
    signed is erased, the inbox forgets it after commit, and `command_finished` is sent. Raises ValueError for
    an edge that does not exist.
    """
    origin = command.state
    if to not in ALLOWED[origin]:
        raise ValueError(f"no way from {origin} to {to}")
    final = to in FINAL
    if final:
        changes |= {"sealed": "", "token": "", "finished_at": timezone.now(), "retry_at": None}
    with transaction.atomic():
        expected = {**(only_if or {}), "pk": command.pk, "state": origin}
        if Command.objects.filter(**expected).update(state=to, **changes) != 1:
            return False
        command.refresh_from_db()
        _note(command, origin, to, actor, reason=command.reason)
        if final:
            transaction.on_commit(partial(forget, command.terminal_id, [command.jti]))
            command_finished.send(sender=Command, command=command)
    return True


def _note(command: Command, origin: str, to: str, actor: str, reason: str = "") -> None:
    facts = {"reason": reason} if reason else {}
    CommandEvent.objects.create(command=command, from_state=origin, to_state=to, actor=actor, facts=facts)


def forget(terminal_id: str, jtis: Iterable[str | None]) -> None:
    """Take finished tokens out of the inbox; if Redis is away, the sweeper does it later."""
    try:
        inbox.drop(terminal_id, [jti for jti in jtis if jti is not None])
    except inbox.InboxUnavailable:
        log.info("inbox_away", terminal=terminal_id)


def cancel(command_id: str, by: str) -> bool:
    """Withdraw a command that the terminal has not fetched yet; whether that succeeded."""
    command = Command.objects.get(pk=command_id)
    return command.state == State.QUEUED and move(command, State.CANCELLED, actor=by)


def mark_fetched(jtis: Iterable[str], at: datetime) -> int:
    """Note that terminals were handed these tokens; how many were news.

    By token, for a command that is signed anew meanwhile has not been fetched: it waits to be signed. One
    that was withdrawn at the same moment is marked, for only the receipt tells which came first.
    """
    crossed = Command.objects.filter(jti__in=list(jtis), state=State.CANCELLED, reason="")
    crossed.update(reason=HANDED_OVER, fetched_at=at)
    news = 0
    for command in Command.objects.filter(jti__in=list(jtis), state=State.QUEUED):
        same = {"jti": command.jti}
        news += move(command, State.FETCHED, actor=command.terminal_id, only_if=same, fetched_at=at)
    return news


def applied(command: Command, at: datetime) -> str:
    """Note a valid `applied` receipt: "ok", "late" after a soft end, or "conflict" after a refusal."""
    late = command.state in SOFT_FINAL
    if command.state == State.APPLIED:
        return "ok"
    if command.state == State.REJECTED:
        return "conflict"
    facts: dict[str, Any] = {"applied_at": at, "late": late, "reason": ""}
    if command.fetched_at is None:
        facts["fetched_at"] = at
    if not move(command, State.APPLIED, actor=command.terminal_id, **facts):
        command.refresh_from_db()
        return applied(command, at)
    if late:
        merchant = command.terminal.store.merchant
        record(Tag.COMMAND_LATE, actor=command.terminal_id, merchant=merchant, subject=command.id)
    return "late" if late else "ok"


def rejected(command: Command, reason: str) -> str:
    """Note a valid `rejected` receipt: "ok", "late" or "conflict" as for `applied`."""
    if command.state == State.APPLIED:
        return "conflict"
    Command.objects.filter(pk=command.pk, state=State.CANCELLED, reason=HANDED_OVER).update(reason="")
    if command.state in FINAL:
        return "late"
    if not move(command, State.REJECTED, actor=command.terminal_id, reason=reason):
        command.refresh_from_db()
        return rejected(command, reason)
    return "ok"


def deferred(command: Command, retry_at: datetime) -> None:
    """Note that the terminal is busy and will take the command up again."""
    mark_fetched([command.jti or ""], timezone.now())
    Command.objects.filter(pk=command.pk, state=State.FETCHED).update(retry_at=retry_at)


def signed_on(command: Command, at: datetime) -> None:
    """Note the operator's first sign-on after the command; the first report counts."""
    Command.objects.filter(pk=command.pk, signed_on_at__isnull=True).update(signed_on_at=at)
    Operator.objects.filter(terminal_id=command.terminal_id, number=command.operator_number).update(
        last_signed_on_at=at
    )
    command.refresh_from_db()
    command_finished.send(sender=Command, command=command)


def reissue(command: Command) -> bool:
    """Have an open command signed anew under the same id; whether it is queued again."""
    blank = {"seq": None, "jti": None, "token": "", "token_digest": "", "jkt": "", "pushed_at": None}
    fresh = blank | {"claimed_until": None, "claims": 0, "fetched_at": None}
    old_jti = command.jti
    with transaction.atomic():
        done = Command.objects.filter(pk=command.pk, state=State.QUEUED).update(**fresh) == 1
        command.refresh_from_db()
        done = done or settle(command, State.QUEUED, actor="server", **fresh)
        if done:
            transaction.on_commit(partial(forget, command.terminal_id, [old_jti]))
            transaction.on_commit(partial(nudge, "terminals.tasks.deliver", command.pk))
    return done


def key_changed(terminal: Terminal) -> None:
    """After a terminal got new keys: end what only its old key can open, sign the rest anew.

    The merchant is asked to set the password again rather than waiting for what nobody can read.
    """
    for command in Command.objects.filter(terminal=terminal, state__in=OPEN):
        if command.sealed and command.sealed_kid != terminal.enc_kid:
            settle(command, State.EXPIRED, actor="server", reason="key_changed")
        elif command.jkt and command.jkt != terminal.sign_kid:
            reissue(command)


def end_all(terminal: Terminal, reason: str) -> None:
    """End whatever is open for a terminal that must not be served any more, except its lock."""
    for command in Command.objects.filter(terminal=terminal, state__in=OPEN).exclude(kind=LOCK):
        settle(command, State.EXPIRED, actor="server", reason=reason)


def expire_due(now: datetime) -> int:
    """End what is past its time by more than the clocks may differ; how many."""
    due = Command.objects.filter(state__in=OPEN, expires_at__lt=now - timedelta(seconds=SKEW))
    return sum(move(command, State.EXPIRED, actor="server", reason="expired") for command in due[:500])
