"""Terminals that are not trusted any more: quarantined, revoked, and taken back (protocol §1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from portal.audit import Tag, record
from terminals import commands, requests
from terminals.life import keyring, pairing_codes
from terminals.models import Command, Terminal
from terminals.protocol import APPLIED, FACTORY_RESET, LOCK, OPEN

State = Terminal.State
Reason = Terminal.StopReason
# How long a stopped terminal is still heard, and told to lock or wipe itself.
QUARANTINE: Final = timedelta(days=30)
# How long one that has locked itself is still heard: a wipe takes two people, and they take their time.
LOCKED_GRACE: Final = timedelta(hours=24)
# How long evictions are repeated: whoever could not reach Redis at the moment has missed nothing then.
REPEAT: Final = timedelta(seconds=150)
# Whoever had one of these for a while may have done more to it than look.
PAIR_ANEW: Final = frozenset({Reason.STOLEN, Reason.TAMPER})
BATCH: Final = 500


def quarantine(terminal: Terminal, by: str, reason: str = Reason.LOST) -> bool:
    """Stop a terminal; whether this call did.

    From its next poll on it is served nothing but a lock or a factory reset, no password is reset on it, and
    its offline key is gone. A stolen one is told to lock itself.
    """
    now = timezone.now()
    living = Terminal.objects.filter(pk=terminal.pk).exclude(state__in=pairing_codes.CLOSED)
    with transaction.atomic():
        row = living.select_for_update().first()
        if row is None:
            return False
        was_active = row.state == State.ACTIVE
        living.update(state=State.QUARANTINED, stopped_at=now, stop_reason=reason, **keyring.DISTRUSTED)
        _end_what_is_open(row, "quarantined", keep=commands.SERVED_IN_QUARANTINE)
        if was_active and reason == Reason.STOLEN:
            _lock(row, by)
        _record(Tag.TERMINAL_STOPPED, row, by, reason=reason)
    return True


def _lock(terminal: Terminal, by: str) -> None:
    under_way = Command.objects.filter(terminal=terminal, kind=LOCK, operator_number="", state__in=OPEN)
    if under_way.exists():
        return
    try:
        commands.issue(terminal, LOCK, requested_by=by)
    except commands.CannotIssue:
        return  # it never learned how, or it was opened by force and is sent nothing at all


def _end_what_is_open(terminal: Terminal, reason: str, *, keep: frozenset[str] = frozenset()) -> None:
    """Pairing codes, commands, recoveries at its screen; and have the poll look again after commit."""
    transaction.on_commit(partial(keyring.forget, terminal.pk))
    pairing_codes.revoke_pairing_codes(terminal)
    commands.end_all(terminal, reason, keep=keep)
    requests.end_open(terminal)


def _record(tag: Tag, terminal: Terminal, by: str, **facts: Any) -> None:
    record(tag, actor=by, merchant=terminal.store.merchant, subject=terminal.pk, **facts)


def revoke(terminal: Terminal, by: str, why: str) -> bool:
    """Cut a terminal off for good; whether this call did. It is told 403 `revoked` and keeps what it has."""
    living = Terminal.objects.filter(pk=terminal.pk).exclude(state=State.REVOKED)
    return _revoke(living, by, why)


def _revoke(living: QuerySet[Terminal], by: str, why: str) -> bool:
    with transaction.atomic():
        row = living.select_for_update().first()
        if row is None:
            return False
        living.update(state=State.REVOKED, revoked_at=timezone.now(), **keyring.DISTRUSTED)
        _end_what_is_open(row, "revoked")
        _record(Tag.TERMINAL_REVOKED, row, by, why=why)
    return True


def release(terminal: Terminal, by: str, why: str) -> bool:
    """Take a stopped terminal back, as `comes_back_as` says; whether this call did.

    Its offline key stays gone until it is paired anew. A terminal that was replaced is not taken back.
    """
    with transaction.atomic():
        row = Terminal.objects.select_for_update().get(pk=terminal.pk)
        state = comes_back_as(row)
        if state is None:
            return False
        keyless: Mapping[str, Any] = {} if state == State.ACTIVE else keyring.KEYLESS
        changes = {"stopped_at": None, "stop_reason": "", "revoked_at": None, **keyless}
        Terminal.objects.filter(pk=row.pk).update(state=state, **changes)
        _end_what_is_open(row, "released")
        _record(Tag.TERMINAL_RELEASED, row, by, why=why, state=state)
    return True


def comes_back_as(terminal: Terminal) -> str | None:
    """Active, for one that was mislaid; not paired yet, when it has to be paired anew; None for never."""
    if terminal.state not in pairing_codes.CLOSED or terminal.replaced_by_id is not None:
        return None
    trusted = terminal.state == State.QUARANTINED and terminal.stop_reason not in PAIR_ANEW
    return State.ACTIVE if trusted and terminal.sign_kid and terminal.tampered_at is None else State.NEW


def cut_off_at(terminal: Terminal) -> datetime | None:
    """When a quarantined terminal is revoked at the latest."""
    if terminal.state != State.QUARANTINED or terminal.stopped_at is None:
        return None
    return terminal.stopped_at + QUARANTINE


def revoke_due(now: datetime) -> int:
    """Revoke what was stopped 30 days ago, or has locked itself a day ago and is to be wiped by nobody."""
    stopped = Terminal.objects.filter(state=State.QUARANTINED)
    stopped.filter(stopped_at__isnull=True).update(stopped_at=now)
    its = Command.objects.filter(terminal=OuterRef("pk"))
    locked = its.filter(
        kind=LOCK,
        operator_number="",
        state=APPLIED,
        created_at__gte=OuterRef("stopped_at"),
        applied_at__lte=now - LOCKED_GRACE,
    )
    wiping = its.filter(kind=FACTORY_RESET, state__in=OPEN)
    over = Q(stopped_at__lte=now - QUARANTINE) | (Exists(locked) & ~Exists(wiping))
    due = stopped.filter(over).values_list("pk", flat=True)[:BATCH]
    return sum(_revoke(stopped.filter(pk=pk), "server", "quarantine is over") for pk in due)


def repeat_evictions(now: datetime) -> None:
    """Say again which terminals were just stopped or cut off, in case somebody could not be told."""
    stopped = Terminal.objects.filter(stopped_at__gt=now - REPEAT)
    revoked = Terminal.objects.filter(revoked_at__gt=now - REPEAT)
    for rows in (stopped, revoked):
        for terminal_id in rows.values_list("pk", flat=True)[:BATCH]:
            keyring.forget_bearers(terminal_id)
