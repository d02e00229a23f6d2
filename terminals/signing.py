"""Signing what waits: the next numbers, the tokens and their record, for many commands in one transaction.

This is the hot path of a reset and of a fleet that is sent something, so it reads only the columns it needs
and writes by statements of its own; everything rare goes the ordinary way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Q, QuerySet

from terminals import inbox, jose
from terminals.alerts import raise_alert
from terminals.commands import GUARDED, SERVED_IN_QUARANTINE
from terminals.keys import signer
from terminals.models import Command, Terminal, TerminalAlert
from terminals.protocol import QUEUED, new_id

log = structlog.get_logger(__name__)
# How far the numbers a terminal says it has seen may make us skip ahead: enough for a restored database, and
# nothing to gain for whoever only has a bearer. Its signed word counts for any distance (see receipts).
SKIP_MAX = 1000

# Each asks one table by its key: PostgreSQL plans a statement anew each time, and joins cost more than rows.
OWNERS = """
SELECT t.id, t.state, t.tampered_at, t.sign_kid, t.enc_kid, t.last_seq,
    (SELECT s.reported_hwm FROM terminals_terminalstatus s WHERE s.terminal_id = t.id),
    (SELECT s.keyset_version FROM terminals_terminalstatus s WHERE s.terminal_id = t.id)
FROM terminals_terminal t WHERE t.id IN (SELECT c.terminal_id FROM terminals_command c WHERE c.id IN ({ids}))
ORDER BY t.id {lock}
"""
WAITING = """
SELECT id, kind, operator_number, args, guard, sealed, sealed_kid, requested_by, approved_by, recovery_ref,
    expires_at, claims, token, seq, jti, terminal_id
FROM terminals_command
WHERE id IN ({ids}) AND state = 'queued' AND pushed_at IS NULL
    AND (claimed_until IS NULL OR claimed_until < %s)
ORDER BY terminal_id, created_at, id
"""
SIGNED = """
UPDATE terminals_command SET token = %s, token_digest = %s, jkt = %s, seq = %s, jti = %s,
    attempt = attempt + 1, claims = claims + 1, claimed_until = %s
WHERE id = %s AND state = 'queued' AND token = ''
"""
RECORDED = """
INSERT INTO terminals_commandtoken (jti, command_id, jkt, seq, digest, issued_at)
VALUES (%s, %s, %s, %s, %s, %s)
"""
NUMBERED = "UPDATE terminals_terminal SET last_seq = %s WHERE id = %s"


class Overtaken(Exception):
    """Somebody else moved one of these commands meanwhile; what was begun here is rolled back."""


class Owner(NamedTuple):
    """What is needed of a terminal, as the database gives it."""

    pk: str
    state: str
    tampered_at: object | None
    sign_kid: str | None
    enc_kid: str | None
    last_seq: int
    reported_hwm: int | None
    keyset_version: int | None


class Waiting(NamedTuple):
    """What is needed of a queued command, as the database gives it."""

    pk: str
    kind: str
    operator_number: str
    args: str
    guard: str
    sealed: str
    sealed_kid: str
    requested_by: str
    approved_by: str
    recovery_ref: str
    expires_at: datetime
    claims: int
    token: str
    seq: int | None
    jti: str | None
    terminal_id: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A signed token on its way into an inbox; `claims` tells how often it was tried, this time included."""

    terminal_id: str
    item: inbox.Item
    claims: int


@dataclass(slots=True)
class Batch:
    """What became of some commands."""

    ready: list[Ready] = field(default_factory=list)
    # Sealed for a key that the terminal no longer has: nobody can open them.
    stale: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    stored: list[tuple[Any, ...]] = field(default_factory=list)
    recorded: list[tuple[Any, ...]] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)


def may_receive(state: str, tampered_at: object | None, kind: str) -> bool:
    """Whether a command of this kind is signed for a terminal in this state, and offered to it."""
    if tampered_at is not None:
        return False
    if state == Terminal.State.QUARANTINED:
        return kind in SERVED_IN_QUARANTINE
    return state == Terminal.State.ACTIVE


def unclaimed(now: datetime) -> QuerySet[Command]:
    """Rows that wait to be pushed and that nobody holds."""
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lt=now)
    return Command.objects.filter(free, state=QUEUED, pushed_at__isnull=True, finished_at__isnull=True)


def sign(ids: Sequence[str], now: datetime, until: datetime) -> Batch:
    """Sign those of these commands that wait and that nobody holds, and hold them until then.

    All or none are stored. Raises Overtaken when another worker, or a withdrawal, was faster with one.
    """
    batch = Batch()
    with transaction.atomic(), connection.cursor() as cursor:
        owners = _owners(cursor, ids)
        for row in _waiting(cursor, ids, now):
            # One that goes to another terminal since is taken by the sweeper.
            if owner := owners.get(row.terminal_id):
                _take(row, owner, batch, now, until)
        _store(cursor, batch)
    return batch


def _owners(cursor: CursorWrapper, ids: Sequence[str]) -> dict[str, Owner]:
    """The terminals of these commands, locked: the numbers of one rise one at a time, whoever signs.

    SQLite has one writer anyway.
    """
    lock = "FOR NO KEY UPDATE" if connection.features.has_select_for_update else ""
    cursor.execute(OWNERS.format(ids=_places(ids), lock=lock), ids)
    return {row[0]: Owner(*row) for row in cursor.fetchall()}


def _waiting(cursor: CursorWrapper, ids: Sequence[str], now: datetime) -> list[Waiting]:
    """Those of `unclaimed`, as they are once their terminals are locked."""
    cursor.execute(WAITING.format(ids=_places(ids)), [*ids, connection.ops.adapt_datetimefield_value(now)])
    return [Waiting(*row) for row in cursor.fetchall()]


def _places(ids: Sequence[str]) -> str:
    return ", ".join(["%s"] * len(ids))


def _take(row: Waiting, owner: Owner, batch: Batch, now: datetime, until: datetime) -> None:
    if not may_receive(owner.state, owner.tampered_at, row.kind):
        return
    if row.kind in GUARDED and not row.approved_by:
        return  # the database refuses such rows as well
    if row.token:
        _hold(row, batch, until)
    elif row.sealed and row.sealed_kid != owner.enc_kid:
        batch.stale.append(row.pk)
    else:
        _sign(row, owner, batch, now, until)


def _hold(row: Waiting, batch: Batch, until: datetime) -> None:
    """It was signed before and only has to be pushed."""
    held = Command.objects.filter(pk=row.pk, state=QUEUED, jti=row.jti)
    if held.update(claimed_until=until, claims=row.claims + 1) == 1:
        batch.ready.append(_ready(row, row.jti or "", row.seq or 0, row.token))


def _sign(row: Waiting, owner: Owner, batch: Batch, now: datetime, until: datetime) -> None:
    """One that cannot be signed must not keep the others from going out."""
    number = batch.numbers.get(row.terminal_id) or max(owner.last_seq, _skipped_to(owner))
    claims = _claims(row, owner, number + 1, now)
    try:
        token = signer.ring().sign(claims, owner.keyset_version)
    except signer.NoSigningKey as error:
        log.critical("cannot_sign", command=row.pk, why=str(error))
        batch.failed.append(row.pk)
        return
    except Exception:
        log.exception("delivery_failed", command=row.pk)
        batch.failed.append(row.pk)
        return
    batch.numbers[row.terminal_id] = number + 1
    digest, jkt, jti = jose.digest(token), owner.sign_kid or "", claims["jti"]
    moment = connection.ops.adapt_datetimefield_value
    batch.stored.append((token, digest, jkt, number + 1, jti, moment(until), row.pk))
    batch.recorded.append((jti, row.pk, jkt, number + 1, digest, moment(now)))
    batch.ready.append(_ready(row, jti, number + 1, token))


def _ready(row: Waiting, jti: str, seq: int, token: str) -> Ready:
    return Ready(row.terminal_id, inbox.Item(jti, seq, row.pk, token), row.claims + 1)


def _store(cursor: CursorWrapper, batch: Batch) -> None:
    if not batch.stored:
        return
    cursor.executemany(SIGNED, batch.stored)
    if cursor.rowcount != len(batch.stored):
        raise Overtaken
    cursor.executemany(RECORDED, batch.recorded)
    cursor.executemany(NUMBERED, [(number, pk) for pk, number in batch.numbers.items()])


def _skipped_to(owner: Owner) -> int:
    """The number a terminal last said it has seen, if that is a little more than we remember giving out.

    Then the database was restored: a number it has used is not given out a second time, and people are told.
    """
    seen, ours = owner.reported_hwm, owner.last_seq
    if not ours or seen is None or not ours < seen <= ours + SKIP_MAX:
        return 0
    terminal = Terminal.objects.select_related("store__merchant").get(pk=owner.pk)
    raise_alert(TerminalAlert.Kind.HWM_AHEAD, terminal, hwm=seen, ours=ours)
    return seen


def _claims(row: Waiting, owner: Owner, seq: int, now: datetime) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": settings.REKEY_ORIGIN,
        "aud": row.terminal_id,
        "jkt": owner.sign_kid,
        "iat": int(now.timestamp()),
        "exp": _unix(row.expires_at),
        "jti": new_id("tok"),
        "cid": row.pk,
        "seq": seq,
        "cmd": row.kind,
        "by": row.requested_by,
    }
    optional = {
        "op": row.operator_number,
        "args": json.loads(row.args),
        "guard": json.loads(row.guard),
        "rid": row.recovery_ref,
        "sealed": row.sealed,
        "apr": [row.approved_by] if row.approved_by else [],
    }
    return claims | {name: value for name, value in optional.items() if value}


def _unix(moment: datetime) -> int:
    """Unix seconds of a moment as the database gives it: SQLite leaves out the zone, which is its UTC."""
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
