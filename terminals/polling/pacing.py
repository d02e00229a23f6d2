"""How often terminals call: the pace they are told, the gap they must keep, and the crowd after an outage."""

from __future__ import annotations

import random
import time
from functools import lru_cache
from typing import Final

from terminals.headers import poll_header
from terminals.models import Terminal

Header = tuple[bytes, bytes]

# Protocol §3: seconds between polls by power and network, and the jitter on top.
INTERVAL_S: Final = {Terminal.Power.MAINS.value: 60, Terminal.Power.CELLULAR.value: 300}
JITTER_S: Final = 15
WAIT_S: Final = 25
# While a command is under way the terminal polls fast for this long.
FAST_S: Final = 120

# A terminal may call once a second in the long run, and this often at a stretch.
GAP_S: Final = 1.0
BURST: Final = 20
# How much longer a terminal has to wait each time that it calls too early.
PENALTY_S: Final = 5
PENALTY_MAX_S: Final = 60

RETRY_S: Final = 2
RETRY_MAX_S: Final = 60
# For so long after a start, or after Redis came back, terminals are spread over a longer part of their round.
CALM_S: Final = 120.0


def interval_of(power: str, own: int | None) -> int:
    """Seconds between polls: the terminal's own, else what suits its power and network."""
    return own or INTERVAL_S.get(power, INTERVAL_S[Terminal.Power.MAINS.value])


def interval_s(terminal: Terminal) -> int:
    """Seconds between polls of this terminal, jitter and patience not included."""
    return interval_of(terminal.power, terminal.poll_interval_s)


@lru_cache(maxsize=4096)
def pace(interval: int, fast_until: int | None, calm: bool) -> Header:
    """`Rekey-Poll` for a terminal of this interval; `fast_until` is in Unix seconds.

    After an outage all terminals call at once and would do so again an interval later. So while `calm`, half
    of the interval is left to chance; nobody comes later than interval and jitter allow at other times.
    """
    chance = interval // 2 if calm else 0
    return b"rekey-poll", poll_header(interval - chance, JITTER_S + chance, WAIT_S, fast_until).encode()


class Meter:
    """How fast one terminal calls; a leaky bucket in one number (GCRA), and the fine for overflowing it."""

    __slots__ = ("_due", "_fine")

    def __init__(self) -> None:
        self._due = 0.0
        self._fine = 0

    def early(self, now: float) -> int:
        """Count one call at `now` (any clock that only rises): 0, or how many seconds to stay away."""
        due = self._due
        ahead = due - now
        if ahead <= 0:
            self._due = now + GAP_S
            self._fine = 0
            return 0
        if ahead < GAP_S * BURST:
            self._due = due + GAP_S
            return 0
        self._fine = min(self._fine + PENALTY_S, PENALTY_MAX_S)
        return self._fine


class Crowd:
    """Those who cannot be served now: the more there are, the longer the time over which they return.

    They are thought of as a queue of which `per_second` can be served; everybody gets a random place in it.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._queue = 0.0
        self._at = time.monotonic()
        self.turned_away = 0

    def retry_after(self) -> int:
        """Turn one caller away; in how many seconds it should come back."""
        now = time.monotonic()
        left = self._queue - (now - self._at) * self._per_second
        self._queue, self._at = max(0.0, left) + 1, now
        self.turned_away += 1
        longest = min(RETRY_S + self._queue / self._per_second, RETRY_MAX_S)
        return round(random.uniform(RETRY_S, longest))  # noqa: S311 - it spreads a crowd, it guards nothing
