"""Issuing: who may be sent what, and the row that is the outbox of it (design D1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from portal.audit import Tag, record
from portal.celery import nudge
from terminals import jose
from terminals.commands.guards import APPROVAL_LIFE, GUARDED, is_sound
from terminals.commands.moving import State, note, settle
from terminals.models import Command, Operator, Terminal
from terminals.protocol import (
    FACTORY_RESET,
    IDLE_MAX,
    LIFETIME,
    LOCK,
    MESSAGE,
    MESSAGE_MAX,
    OPEN,
    OPEN_COMMANDS_MAX,
    REBOOT,
    SET_CREDENTIAL,
    UNLOCK,
)

# What a terminal that was stopped is still sent.
SERVED_IN_QUARANTINE = frozenset({LOCK, FACTORY_RESET})


class CannotIssue(Exception):
    """A command was refused.

    `reason` is not_active, quarantined, tampered, unsupported, no_operator, too_many_open, guarded or
    arguments.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _is_text(args: Mapping[str, Any]) -> bool:
    text = args.get("text")
    return set(args) == {"text"} and isinstance(text, str) and is_message(text)


def _is_reboot(args: Mapping[str, Any]) -> bool:
    patience = args.get("idle_max", 0)
    return set(args) <= {"idle_max"} and type(patience) is int and 0 <= patience <= IDLE_MAX


# What each kind may be told besides the operator (protocol §4, §10).
ARGUMENTS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    SET_CREDENTIAL: lambda args: args in ({}, {"choose": True}),
    UNLOCK: lambda args: args == {},
    LOCK: lambda args: args == {},
    MESSAGE: _is_text,
    REBOOT: _is_reboot,
    FACTORY_RESET: lambda args: args == {"scope": "all"},
}


def is_message(text: str) -> bool:
    """Whether a terminal can show it: one line of up to 140 printable characters."""
    return 1 <= len(text) <= MESSAGE_MAX and text.isprintable() and not text.isspace()


def issue(
    terminal: Terminal,
    kind: str,
    *,
    operator_number: str = "",
    sealed_password: str | None = None,
    choose: bool = False,
    change_at_next_login: bool = False,
    args: Mapping[str, Any] | None = None,
    guard: Mapping[str, Any] | None = None,
    requested_by: str,
    recovery_ref: str = "",
    why: str = "",
    approve_until: datetime | None = None,
) -> Command:
    """Store a command in the caller's transaction and have it delivered once that commits.

    A password is sealed to the terminal's key before this returns and is kept nowhere (design D4). An older
    unfinished command of the same kind for the same operator is superseded in the same transaction. A guarded
    command waits for a second person instead (see `approve`), as does one with `approve_until`. `why` is the
    reason a person gave. Raises CannotIssue.
    """
    told = {"choose": True} if choose else dict(args or {})
    with transaction.atomic():
        # One issue at a time per terminal: with the lock "the newest wins" is true under races as well.
        terminal = Terminal.objects.select_for_update(no_key=True).get(pk=terminal.pk)
        _may_issue(terminal, kind, operator_number)
        now = timezone.now()
        if kind in GUARDED:
            _may_be_asked(guard, terminal, now)
            approve_until = approve_until or now + APPROVAL_LIFE
        if not ARGUMENTS[kind](told):
            raise CannotIssue("arguments")
        command = Command(
            terminal=terminal,
            kind=kind,
            operator_number=operator_number,
            args=told,
            guard=dict(guard or {}),
            state=State.PENDING_APPROVAL if approve_until else State.QUEUED,
            requested_by=requested_by,
            recovery_ref=recovery_ref,
            created_at=now,
            expires_at=approve_until or now + timedelta(seconds=LIFETIME[kind]),
        )
        if sealed_password is not None:
            _seal(command, terminal, sealed_password, change_at_next_login)
        store(command, why=why)
        _supersede_older(command)
    return command


def store(command: Command, why: str = "") -> None:
    """Write a new command down, in the caller's transaction, and have it delivered after commit."""
    command.save(force_insert=True)
    note(command, "", command.state, command.requested_by, why=why)
    merchant = command.terminal.store.merchant
    record(
        Tag.COMMAND_ISSUED,
        actor=command.requested_by,
        merchant=merchant,
        subject=command.id,
        kind=command.kind,
        **({"why": why} if why else {}),
    )
    if command.state == State.QUEUED:
        transaction.on_commit(partial(nudge, "terminals.tasks.deliver", command.id))


def _may_be_asked(guard: Mapping[str, Any] | None, terminal: Terminal, now: datetime) -> None:
    if not is_sound(guard, terminal, now):
        raise CannotIssue("guarded")


def _open_for(terminal: Terminal) -> QuerySet[Command]:
    return Command.objects.filter(terminal=terminal, state__in=OPEN, finished_at__isnull=True)


def _may_issue(terminal: Terminal, kind: str, operator_number: str) -> None:
    if terminal.tampered_at is not None:
        raise CannotIssue("tampered")
    if terminal.state == Terminal.State.QUARANTINED and kind not in SERVED_IN_QUARANTINE:
        raise CannotIssue("quarantined")
    if terminal.state not in (Terminal.State.ACTIVE, Terminal.State.QUARANTINED):
        raise CannotIssue("not_active")
    if kind not in terminal.capabilities.get("cmds", (kind,)):
        raise CannotIssue("unsupported")
    if operator_number and not Operator.objects.filter(terminal=terminal, number=operator_number).exists():
        raise CannotIssue("no_operator")
    if _open_for(terminal).count() >= OPEN_COMMANDS_MAX:
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
    """A newer credential beats the older ones, wherever those have got to."""
    if command.kind != SET_CREDENTIAL:
        return
    same = _open_for(command.terminal).filter(kind=command.kind, operator_number=command.operator_number)
    for old in same.exclude(pk=command.pk):
        settle(old, State.SUPERSEDED, actor=command.requested_by, superseded_by=command)
