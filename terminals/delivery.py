"""From a row to the terminal's inbox: claim, sign, push; and the sweeper behind it (design D1)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from portal.audit import Tag, record
from terminals import commands, inbox, jose, signer
from terminals.alerts import raise_alert
from terminals.commands import GUARDED, SERVED_IN_QUARANTINE
from terminals.models import Command, CommandToken, Terminal, TerminalAlert, TerminalStatus
from terminals.protocol import FETCHED, QUEUED, new_id

log = structlog.get_logger(__name__)
CLAIM = timedelta(seconds=5)
CLAIM_MAX = timedelta(seconds=60)
# A row that was claimed this often without getting through is shown to staff; it is still retried, slowly.
PARKED_AFTER = 10
# How long after its end a token may still be found in an inbox that was out of reach at the time.
REDROP = timedelta(minutes=2)
REPUSH_AFTER = timedelta(seconds=5)
BATCH = 200
# How far the numbers a terminal says it has seen may make us skip ahead: enough for a restored database, and
# nothing to gain for whoever only has a bearer. Its signed word counts for any distance (see receipts).
SKIP_MAX = 1000


class Overtaken(Exception):
    """Another worker holds this command now; what was begun here is rolled back."""


def deliver(command_id: str) -> bool:
    """Sign a queued command and put it into its terminal's inbox; whether it lies there now.

    Safe to run twice and anywhere: the claim is one conditional UPDATE, a command is signed once per claim
    holder, and pushing again changes nothing. Without the signing key or Redis it stays queued.
    """
    command = _claim(command_id, timezone.now())
    if command is None:
        return False
    if not may_receive(command.terminal, command.kind):
        _release(command)
        return False
    try:
        if not command.token and not _sign(command):
            return False
        inbox.push(command.terminal_id, [_item(command)])
    except signer.NoSigningKey as error:
        log.critical("cannot_sign", command=command_id, why=str(error))
        return False
    except Overtaken:
        return False
    except inbox.InboxUnavailable:
        _release(command)
        return False
    _pushed(command)
    return True


def _claim(command_id: str, now: datetime) -> Command | None:
    claimed = _unclaimed(now).filter(pk=command_id).update(claimed_until=now + CLAIM, claims=F("claims") + 1)
    if claimed != 1:
        return None
    command = Command.objects.select_related("terminal__store__merchant").get(pk=command_id)
    if command.claims > 1:
        until = now + min(CLAIM * 2 ** min(command.claims - 1, 6), CLAIM_MAX)
        Command.objects.filter(pk=command_id, claims=command.claims).update(claimed_until=until)
    if command.claims == PARKED_AFTER:
        merchant = command.terminal.store.merchant
        record(Tag.COMMAND_PARKED, actor="worker", merchant=merchant, subject=command.id)
        raise_alert(TerminalAlert.Kind.PARKED, command.terminal, command=command)
    return command


def _unclaimed(now: datetime) -> QuerySet[Command]:
    """Rows that wait to be pushed and that nobody holds."""
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lt=now)
    return Command.objects.filter(free, state=QUEUED, pushed_at__isnull=True)


def _release(command: Command) -> None:
    # Redis being away or a terminal that may not be served is no fault of the row: it is not counted.
    Command.objects.filter(pk=command.pk, claims=command.claims).update(
        claimed_until=None, claims=F("claims") - 1
    )


def _sign(command: Command) -> bool:
    """Take the next sequence number and store the signed token, both or neither."""
    with transaction.atomic():
        # The row lock makes the numbers of one terminal rise one at a time, whoever signs.
        terminal = Terminal.objects.select_for_update(no_key=True).get(pk=command.terminal_id)
        if not may_receive(terminal, command.kind) or _lacks_approval(command):
            return False
        if command.sealed and command.sealed_kid != terminal.enc_kid:
            commands.move(command, Command.State.EXPIRED, actor="server", reason="key_changed")
            return False
        terminal.last_seq = max(terminal.last_seq, _seen_by(terminal)) + 1
        terminal.save(update_fields=["last_seq"])
        claims = _claims(command, terminal)
        token = signer.sign_command(claims)
        digest = jose.digest(token)
        facts = {"jkt": terminal.sign_kid or "", "seq": claims["seq"], "jti": claims["jti"]}
        stored = Command.objects.filter(pk=command.pk, state=QUEUED, claims=command.claims, token="").update(
            token=token, token_digest=digest, attempt=F("attempt") + 1, **facts
        )
        if stored != 1:
            raise Overtaken
        CommandToken.objects.create(command=command, digest=digest, **facts)
    command.refresh_from_db()
    return True


def may_receive(terminal: Terminal, kind: str) -> bool:
    """Whether a command of this kind is signed for the terminal, and offered to it, as things stand."""
    if terminal.tampered_at is not None:
        return False
    if terminal.state == Terminal.State.QUARANTINED:
        return kind in SERVED_IN_QUARANTINE
    return terminal.state == Terminal.State.ACTIVE


def _servable() -> Q:
    """The same as `may_receive`, for many rows."""
    stopped = Q(terminal__state=Terminal.State.QUARANTINED, kind__in=SERVED_IN_QUARANTINE)
    return Q(terminal__tampered_at__isnull=True) & (Q(terminal__state=Terminal.State.ACTIVE) | stopped)


def _lacks_approval(command: Command) -> bool:
    """A guarded command that nobody else approved; the database refuses such rows as well."""
    return command.kind in GUARDED and not command.approved_by


def _seen_by(terminal: Terminal) -> int:
    """The number a terminal last said it has seen, if that is a little more than we remember giving out.

    Then the database was restored: a number it has used is not given out a second time, and people are told.
    """
    seen = TerminalStatus.objects.filter(terminal=terminal).values_list("reported_hwm", flat=True).first()
    if not terminal.last_seq or seen is None or not terminal.last_seq < seen <= terminal.last_seq + SKIP_MAX:
        return 0
    raise_alert(TerminalAlert.Kind.HWM_AHEAD, terminal, hwm=seen, ours=terminal.last_seq)
    return seen


def _claims(command: Command, terminal: Terminal) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": settings.REKEY_ORIGIN,
        "aud": terminal.id,
        "jkt": terminal.sign_kid,
        "iat": int(timezone.now().timestamp()),
        "exp": int(command.expires_at.timestamp()),
        "jti": new_id("tok"),
        "cid": command.id,
        "seq": terminal.last_seq,
        "cmd": command.kind,
        "by": command.requested_by,
    }
    optional = {
        "op": command.operator_number,
        "args": command.args,
        "guard": command.guard,
        "rid": command.recovery_ref,
        "sealed": command.sealed,
        "apr": [command.approved_by] if command.approved_by else [],
    }
    return claims | {name: value for name, value in optional.items() if value}


def _item(command: Command) -> inbox.Item:
    return inbox.Item(command.jti or "", command.seq or 0, command.id, command.token)


def _pushed(command: Command) -> None:
    wanted = Command.objects.filter(_servable(), pk=command.pk, jti=command.jti, state__in=(QUEUED, FETCHED))
    if not wanted.update(pushed_at=timezone.now(), claimed_until=None):
        # It was withdrawn, or its terminal stopped, while we pushed: leave nothing behind.
        commands.forget(command.terminal_id, [command.jti])


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
    return Command.objects.filter(_servable(), due, state__in=(QUEUED, FETCHED)).exclude(token="")


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
    unpushed = _unclaimed(now).filter(_servable()).order_by("created_at")
    try:
        if not inbox.is_complete():
            inbox.rebuild(_fill)
        for command_id in unpushed.values_list("pk", flat=True)[:BATCH]:
            _deliver_alone(command_id)
        _offer_again(now)
        _repair(now)
    except inbox.InboxUnavailable as error:
        log.warning("inbox_away", error=type(error).__name__)


def _deliver_alone(command_id: str) -> None:
    """One row that cannot be delivered must not keep the rest of the round from going out."""
    try:
        deliver(command_id)
    except Exception:
        log.exception("delivery_failed", command=command_id)


def _fill() -> None:
    for command in _signed().order_by("seq").iterator(chunk_size=500):
        inbox.push(command.terminal_id, [_item(command)])


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
    for command in lying.order_by("-created_at")[:BATCH]:
        inbox.push(command.terminal_id, [_item(command)], wake=False)
