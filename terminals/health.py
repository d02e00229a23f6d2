"""How a terminal is doing: when it was last seen, and when it should be seen next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.db.models import Q

from terminals.models import Terminal, TerminalStatus
from terminals.polling import seen
from terminals.polling.pacing import JITTER_S, WAIT_S, interval_of, interval_s

MISSED = 3


@dataclass(frozen=True, slots=True)
class Health:
    """online, late (one call missed), off (several missed) or never; seconds until the next call, at most."""

    kind: Literal["online", "late", "off", "never"]
    last_seen_at: datetime | None
    next_expected_s: int


def health(terminal: Terminal, now: datetime) -> Health:
    """Judge by the last poll alone; what the terminal says of itself plays no part."""
    row = TerminalStatus.objects.filter(terminal=terminal).values_list("last_seen_at", flat=True).first()
    return judge(terminal, newer(terminal, row, seen.latest([terminal.pk])), now)


def judge(terminal: Terminal, seen_at: datetime | None, now: datetime) -> Health:
    """The same from facts at hand."""
    round_s = calls_within_s(terminal)
    if seen_at is None:
        return Health("never", None, round_s)
    age = (now - seen_at).total_seconds()
    if age <= round_s:
        return Health("online", seen_at, max(1, int(round_s - age)))
    return Health("late" if age <= MISSED * round_s else "off", seen_at, round_s)


def calls_within_s(terminal: Terminal) -> int:
    """Seconds within which a terminal that is well calls again."""
    return interval_s(terminal) + JITTER_S + WAIT_S


def newer(terminal: Terminal, row_at: datetime | None, latest: dict[str, seen.Seen]) -> datetime | None:
    """When it called last: what Redis knows (`seen.latest`) is up to a minute ahead of the row."""
    known = latest.get(terminal.pk)
    moments = [moment for moment in (row_at, known.at if known else None) if moment is not None]
    return max(moments, default=None)


def overdue(now: datetime) -> Q:
    """Terminals that are `off` or `never`, as a condition on rows; a row may be a minute behind Redis."""
    paces = set(Terminal.objects.order_by().values_list("power", "poll_interval_s").distinct())
    missed = Q(status__last_seen_at__isnull=True)
    for power, own in paces:
        round_s = interval_of(power, own) + JITTER_S + WAIT_S
        like = Q(power=power) & (Q(poll_interval_s__isnull=True) if own is None else Q(poll_interval_s=own))
        missed |= like & Q(status__last_seen_at__lt=now - timedelta(seconds=MISSED * round_s))
    return missed
