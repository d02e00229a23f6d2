"""When to ask next: the server's wishes, failures, and the least distance between two polls (protocol §3)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from terminals.headers import parse_dictionary
from terminals.protocol import GAP_MIN, GAP_MIN_FAST, WAIT_MAX

FAST: Final = GAP_MIN_FAST
SLOWEST: Final = 3600
BACKOFF_UNIT: Final = 15
BACKOFF_MOST: Final = 900
SLOW_DOWN: Final = 5


@dataclass(slots=True)
class Pace:
    """How the server asked us to poll, in seconds (`Rekey-Poll`), and how badly it goes."""

    interval: int = 60
    jitter: int = 15
    wait: int = 25
    fast_until: int = 0
    penalty: int = 0
    failures: int = 0

    def obey(self, header: str) -> None:
        """Take over what the header says, within sane bounds; unreadable headers change nothing."""
        members = parse_dictionary(header) or {}
        for name, low, high in (("interval", FAST, SLOWEST), ("jitter", 0, SLOWEST), ("wait", 0, WAIT_MAX)):
            value = members.get(name)
            if type(value) is int:
                setattr(self, name, min(max(value, low), high))
        fast_until = members.get("fast_until", 0)
        self.fast_until = fast_until if type(fast_until) is int else 0

    def pause(self, now: float, cap: float) -> float:
        """Seconds until the next poll after one that went well."""
        if now < self.fast_until:
            return min(FAST + self.penalty, cap)
        return min(self.interval + self.penalty + random.uniform(0, self.jitter), cap)

    def gap(self, now: float, cap: float) -> float:
        """The least time between two polls, whatever the hurry."""
        return min((FAST if now < self.fast_until else GAP_MIN) + self.penalty, cap)

    def slow_down(self) -> None:
        """We were too fast: five seconds more between polls, until the next restart."""
        self.penalty += SLOW_DOWN

    def back_off(self, retry_after: int | None, cap: float) -> float:
        """Seconds to wait after a failure: a random part of a span that doubles each time (full jitter)."""
        span = min(BACKOFF_UNIT * 2 ** min(self.failures, 10), max(self.interval, BACKOFF_MOST))
        self.failures += 1
        pause = min(random.uniform(0, span), cap)
        if retry_after is None:
            return pause
        asked = min(retry_after, SLOWEST)
        return max(pause, asked + (random.uniform(0, min(self.jitter, asked)) if cap > asked else 0))

    def stand_by(self, cap: float) -> float:
        """Seconds to wait when we are not welcome: as slowly as allowed."""
        return min(SLOWEST + random.uniform(0, BACKOFF_MOST), cap)
