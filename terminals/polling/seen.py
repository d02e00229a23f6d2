"""When terminals called and what they said of themselves: in Redis at once, in the rows once a minute.

Polls write on a sheet in Redis, one member a terminal. Each minute the sheet is laid aside, copied into the
rows and thrown away, so Redis holds what is at most a minute old, and nothing of a terminal that is silent.
Who wants to know when a terminal last called asks both sheets first and then the row. When Redis loses the
sheets, a minute of this is lost, and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar, cast

import structlog
from django.db import transaction

from terminals import inbox
from terminals.headers import Telemetry, parse_telemetry
from terminals.models import Terminal, TerminalStatus

T = TypeVar("T")
log = structlog.get_logger(__name__)

# The braces keep both sheets on one shard, as renaming wants it.
SHEET = "rekey:{seen}"
ASIDE = "rekey:{seen}:aside"
COPYING = "rekey:{seen}:copying"
ROWS_AT_ONCE = 500
# A copy ends after this long and goes on a minute later; its lock outlives it and the limit of a task.
COPY_S = 15.0
LOCK_S = 45
_ALWAYS = ("last_seen_at", "last_status")
_TOLD = ("battery", "charging", "idle", "reported_hwm", "keyset_version", "unsettled_batch")


@dataclass(frozen=True, slots=True)
class Seen:
    """When a terminal called, with which HTTP status it was answered, and its telemetry if it sent any."""

    at: datetime
    status: int
    telemetry: Telemetry | None


def written(at: float, status: int, telemetry: bytes) -> bytes:
    """One call as it stands on the sheet."""
    return b"%d %d %b" % (at, status, telemetry)


def read(text: str) -> Seen | None:
    """The same read again; None for what nobody of us has written."""
    at, _, rest = text.partition(" ")
    status, _, telemetry = rest.partition(" ")
    if not (at.isdigit() and status.isdigit()):
        return None
    return Seen(datetime.fromtimestamp(int(at), UTC), int(status), parse_telemetry(telemetry))


def latest(terminal_ids: Collection[str]) -> dict[str, Seen]:
    """What Redis knows of these terminals, which is newer than their rows; empty when Redis is away."""
    if not terminal_ids:
        return {}
    try:
        with inbox.reachable() as server:
            pipe = server.pipeline(transaction=False)
            # The older sheet first: should it be renamed in between, the same calls are just read twice.
            pipe.hmget(SHEET, list(terminal_ids))
            pipe.hmget(ASIDE, list(terminal_ids))
            fresh, aside = pipe.execute()
    except inbox.InboxUnavailable:
        return {}
    found = {}
    for terminal_id, new, old in zip(terminal_ids, fresh, aside, strict=True):
        seen = read(new or old or "")
        if seen is not None:
            found[terminal_id] = seen
    return found


def copy() -> int:
    """Lay the sheet aside and copy it into the rows; how many terminals got through.

    Safe to run twice and to be killed: what was not copied stays on the sheet laid aside, and a row never
    goes back in time. While Redis is away there is nothing to copy.
    """
    try:
        with inbox.reachable() as server:
            mine = server.set(COPYING, "1", nx=True, ex=LOCK_S)
        return _copy() if mine else 0
    except inbox.InboxUnavailable as error:
        log.info("inbox_away", error=type(error).__name__)
        return 0


def _copy() -> int:
    copied, deadline = 0, time.monotonic() + COPY_S
    _lay_aside()
    while time.monotonic() < deadline and (part := _part()):
        store({terminal_id: seen for terminal_id, text in part.items() if (seen := read(text))})
        copied += len(part)
        with inbox.reachable() as server:
            server.hdel(ASIDE, *part)
    with inbox.reachable() as server:
        server.delete(COPYING)
    return copied


def _lay_aside() -> None:
    """Take the sheet away from the polls, unless an earlier one has not been copied to its end."""
    with inbox.reachable() as server:
        if server.exists(SHEET):
            server.renamenx(SHEET, ASIDE)


def _part() -> dict[str, str]:
    """Some calls of the sheet laid aside."""
    with inbox.reachable() as server:
        flat = cast("list[str]", server.hrandfield(ASIDE, ROWS_AT_ONCE, withvalues=True) or [])
    return dict(zip(flat[::2], flat[1::2], strict=True))


def store(seen: Mapping[str, Seen]) -> None:
    """Write the rows, many in a statement; what a row has newer stays. Raises DatabaseError."""
    for part in _parts(sorted(seen.items()), ROWS_AT_ONCE):
        with transaction.atomic():
            _store_part(dict(part))


def _store_part(seen: dict[str, Seen]) -> None:
    facts = ("pk", "firmware", "status__last_seen_at")
    rows = Terminal.objects.filter(pk__in=seen).values_list(*facts)
    news = {pk: firmware for pk, firmware, row_at in rows if row_at is None or row_at < seen[pk].at}
    talking = [pk for pk in news if seen[pk].telemetry is not None]
    silent = [pk for pk in news if seen[pk].telemetry is None]
    _upsert([_row(pk, seen[pk]) for pk in talking], (*_ALWAYS, *_TOLD))
    _upsert([_row(pk, seen[pk]) for pk in silent], _ALWAYS)
    for pk in talking:
        told = seen[pk].telemetry
        if told is not None and told.fw and told.fw != news[pk]:
            Terminal.objects.filter(pk=pk).update(firmware=told.fw)


def _upsert(rows: list[TerminalStatus], fields: Iterable[str]) -> None:
    TerminalStatus.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["terminal"], update_fields=list(fields)
    )


def _row(terminal_id: str, seen: Seen) -> TerminalStatus:
    # 0: it was not answered yet, for its first poll is still held.
    facts: dict[str, Any] = {"last_seen_at": seen.at, "last_status": seen.status or None}
    if seen.telemetry is not None:
        told = seen.telemetry
        facts |= {
            "battery": told.bat,
            "charging": told.chg,
            "idle": told.idle,
            "reported_hwm": told.hwm,
            "keyset_version": told.ks,
            "unsettled_batch": told.batch,
        }
    return TerminalStatus(terminal_id=terminal_id, **facts)


def _parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
