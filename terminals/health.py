"""How a terminal is doing: when it was last seen, and when it should be seen next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db.models import Q

from terminals.headers import Telemetry
from terminals.models import Terminal, TerminalStatus

# Protocol §3: seconds between polls by power and network, and the jitter on top.
INTERVAL_S = {Terminal.Power.MAINS.value: 60, Terminal.Power.CELLULAR.value: 300}
JITTER_S = 15
WAIT_S = 25
MISSED = 3


@dataclass(frozen=True, slots=True)
class Health:
    """online, late (one call missed), off (several missed) or never; seconds until the next call, at most."""

    kind: Literal["online", "late", "off", "never"]
    last_seen_at: datetime | None
    next_expected_s: int


def health(terminal: Terminal, now: datetime) -> Health:
    """Judge by the last poll alone; what the terminal says of itself plays no part."""
    seen = TerminalStatus.objects.filter(terminal=terminal).values_list("last_seen_at", flat=True).first()
    return judge(terminal.power, seen, now)


def judge(power: str, seen: datetime | None, now: datetime) -> Health:
    """The same from facts at hand."""
    round_s = INTERVAL_S[power] + JITTER_S + WAIT_S
    if seen is None:
        return Health("never", None, round_s)
    age = (now - seen).total_seconds()
    if age <= round_s:
        return Health("online", seen, max(1, int(round_s - age)))
    return Health("late" if age <= MISSED * round_s else "off", seen, round_s)


def note_seen(seen: Mapping[str, tuple[datetime, Telemetry | None]]) -> None:
    """Write down when terminals polled and what they said of themselves; callers debounce."""
    for terminal_id, (at, telemetry) in seen.items():
        facts: dict[str, object] = {"last_seen_at": at}
        if telemetry is not None:
            facts |= {
                "battery": telemetry.bat,
                "reported_hwm": telemetry.hwm,
                "keyset_version": telemetry.ks,
                "unsettled_batch": telemetry.batch,
            }
        _upsert(terminal_id, at, facts)


def _upsert(terminal_id: str, at: datetime, facts: dict[str, object]) -> None:
    older = Q(last_seen_at__isnull=True) | Q(last_seen_at__lt=at)
    if TerminalStatus.objects.filter(older, terminal_id=terminal_id).update(**facts):
        return
    if Terminal.objects.filter(pk=terminal_id).exists():
        TerminalStatus.objects.get_or_create(terminal_id=terminal_id, defaults=facts)
