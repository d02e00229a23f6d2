"""From a row to the terminal's inbox: sign, push, note; and the sweeper behind it (design D1)."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import connection
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from portal.audit import Tag, record
from terminals import commands, inbox, signing
from terminals.alerts import raise_alert
from terminals.commands import SERVED_IN_QUARANTINE
from terminals.models import Command, Terminal, TerminalAlert
from terminals.protocol import FETCHED, QUEUED

log = structlog.get_logger(__name__)
CLAIM = timedelta(seconds=5)
CLAIM_MAX = timedelta(seconds=60)
# A row that was claimed this often without getting through is shown to staff; it is still retried, slowly.
PARKED_AFTER = 10
# How long after its end a token may still be found in an inbox that was out of reach at the time.
REDROP = timedelta(minutes=2)
REPUSH_AFTER = timedelta(seconds=5)
BATCH = 200

NOTE_PUSHED = """
UPDATE terminals_command SET pushed_at = %s, claimed_until = NULL
WHERE jti = %s AND state IN ('queued', 'fetched')
    AND (SELECT t.tampered_at FROM terminals_terminal t WHERE t.id = terminals_command.terminal_id) IS NULL
"""


def deliver(command_id: str) -> bool:
    """Sign a queued command and put it into its terminal's inbox; whether this call did.

    Safe to run twice and anywhere: what is signed is held for a few seconds by whoever signed it, a command
    is signed once, and pushing again changes nothing. Without the signing key or Redis it stays queued.
    """
    return deliver_many([command_id]) == 1


def deliver_many(ids: Sequence[str]) -> int:
    """The same for many at once, in one transaction and one pipeline; how many lie in their inboxes now."""
    now = timezone.now()
    try:
        batch = signing.sign(ids, now, now + CLAIM)
    except signing.Overtaken:
        return sum(deliver_many([one]) for one in ids) if len(ids) > 1 else 0
    for command_id in batch.stale:
        commands.end(Command.objects.get(pk=command_id), actor="server", reason="key_changed")
    for command_id in batch.failed:
        _failed(command_id, now)
    if not batch.ready:
        return 0
    return _push(batch.ready)


def _push(ready: list[signing.Ready]) -> int:
    ids = [one.item.command_id for one in ready]
    try:
        inbox.push_many((one.terminal_id, one.item) for one in ready)
    except inbox.InboxUnavailable:
        # Redis being away is nobody's fault: the claim does not count against the row.
        Command.objects.filter(pk__in=ids).update(claimed_until=None, claims=F("claims") - 1)
        return 0
    # The terminal waits in another process, perhaps of this very core: that one first, then our notes.
    os.sched_yield()
    _pushed(ready)
    for one in ready:
        if one.claims == PARKED_AFTER:
            _park(one.item.command_id)
    return len(ready)


def _pushed(ready: list[signing.Ready]) -> None:
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.executemany(NOTE_PUSHED, [(now, one.item.jti) for one in ready])
        if cursor.rowcount == len(ready):
            return
    # One was withdrawn, or its terminal stopped, while we pushed: leave nothing behind.
    noted = Command.objects.filter(jti__in=[one.item.jti for one in ready], pushed_at__isnull=False)
    wanted = set(noted.filter(state__in=(QUEUED, FETCHED)).values_list("jti", flat=True))
    for one in ready:
        if one.item.jti not in wanted:
            commands.forget(one.terminal_id, [one.item.jti])


def _failed(command_id: str, now: datetime) -> None:
    """Count it against the row, and try again later and later."""
    row = Command.objects.filter(pk=command_id, state=QUEUED)
    claims = row.values_list("claims", flat=True).first()
    if claims is not None:
        until = now + min(CLAIM * 2 ** min(claims, 6), CLAIM_MAX)
        counted = row.filter(claims=claims).update(claims=claims + 1, claimed_until=until) == 1
        if counted and claims + 1 == PARKED_AFTER:
            _park(command_id)


def _park(command_id: str) -> None:
    command = Command.objects.select_related("terminal__store__merchant").get(pk=command_id)
    merchant = command.terminal.store.merchant
    record(Tag.COMMAND_PARKED, actor="worker", merchant=merchant, subject=command.id)
    raise_alert(TerminalAlert.Kind.PARKED, command.terminal, command=command)


def may_receive(terminal: Terminal, kind: str) -> bool:
    """Whether a command of this kind is signed for the terminal, and offered to it, as things stand."""
    return signing.may_receive(terminal.state, terminal.tampered_at, kind)


def _servable() -> Q:
    """The same, for many rows."""
    stopped = Q(terminal__state=Terminal.State.QUARANTINED, kind__in=SERVED_IN_QUARANTINE)
    return Q(terminal__tampered_at__isnull=True) & (Q(terminal__state=Terminal.State.ACTIVE) | stopped)


def _item(command: Command) -> inbox.Item:
    return inbox.Item(command.jti or "", command.seq or 0, command.id, command.token)


def waiting_for(terminal_id: str) -> list[inbox.Item]:
    """The signed tokens a terminal should find, from the rows: the truth behind its inbox."""
    return waiting_for_all([terminal_id]).get(terminal_id, [])


def waiting_for_all(terminal_ids: Collection[str]) -> dict[str, list[inbox.Item]]:
    """The same for many terminals at once, by terminal; those that should find nothing are left out."""
    waiting: dict[str, list[inbox.Item]] = {}
    for command in _signed().filter(terminal_id__in=terminal_ids).order_by("seq"):
        waiting.setdefault(command.terminal_id, []).append(_item(command))
    return waiting


def _signed() -> QuerySet[Command]:
    """Rows whose token should lie in an inbox: one that was deferred does not, until its time has come."""
    due = Q(retry_at__isnull=True) | Q(retry_at__lte=timezone.now())
    offered = Command.objects.filter(state__in=(QUEUED, FETCHED), finished_at__isnull=True)
    return offered.filter(_servable(), due).exclude(token="")


def refresh(terminal_id: str) -> None:
    """Make one inbox what the rows say: after a terminal was stopped, or may be served again.

    Raises InboxUnavailable.
    """
    wanted = waiting_for(terminal_id)
    kept = {item.jti for item in wanted}
    inbox.drop(terminal_id, [item.jti for item in inbox.read(terminal_id).items if item.jti not in kept])
    if wanted:
        inbox.push(terminal_id, wanted)


def sweep() -> None:
    """Make good what got lost: called every two seconds, and as often as anybody likes.

    Expires what is due, fills the inboxes again when Redis has lost them, signs and pushes what waits, and
    takes out what ended while Redis was away.
    """
    now = timezone.now()
    commands.expire_due(now)
    unpushed = signing.unclaimed(now).filter(_servable()).order_by("created_at")
    try:
        if not inbox.is_complete():
            inbox.rebuild(_fill)
        if ids := list(unpushed.values_list("pk", flat=True)[:BATCH]):
            _deliver(ids)
        _offer_again(now)
        _repair(now)
    except inbox.InboxUnavailable as error:
        log.warning("inbox_away", error=type(error).__name__)


def _deliver(ids: list[str]) -> None:
    """One row that cannot be delivered must not keep the rest of the round from going out."""
    try:
        deliver_many(ids)
    except Exception:
        log.exception("delivery_failed", commands=len(ids))
        if len(ids) > 1:
            for command_id in ids:
                _deliver([command_id])


def _fill() -> None:
    rows = _signed().order_by("seq").iterator(chunk_size=500)
    _put((command for command in rows), wake=True)


def _put(rows: Iterable[Command], *, wake: bool) -> None:
    """Push in parts: what a part of the whole may hold up is little."""
    part: list[tuple[str, inbox.Item]] = []
    for command in rows:
        part.append((command.terminal_id, _item(command)))
        if len(part) == BATCH:
            inbox.push_many(part, wake=wake)
            part = []
    if part:
        inbox.push_many(part, wake=wake)


def _offer_again(now: datetime) -> None:
    """Put back what a terminal has deferred until now, and wake it."""
    for command in _signed().filter(state=FETCHED, retry_at__lte=now).order_by("retry_at")[:BATCH]:
        inbox.push(command.terminal_id, [_item(command)])
        same = Command.objects.filter(pk=command.pk, state=FETCHED, retry_at=command.retry_at)
        same.update(retry_at=None, pushed_at=now)


def _repair(now: datetime) -> None:
    """Push again what should lie there for a while already, and take out again what has just ended."""
    ended = Command.objects.filter(finished_at__gt=now - REDROP, jti__isnull=False).order_by("-finished_at")
    for terminal_id, jti in ended.values_list("terminal_id", "jti")[:BATCH]:
        inbox.drop(terminal_id, [jti or ""])
    lying = _signed().filter(pushed_at__lt=now - REPUSH_AFTER)
    _put(lying.order_by("-created_at")[:BATCH], wake=False)
