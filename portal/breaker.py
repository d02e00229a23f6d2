"""A circuit breaker: what has just failed rests for a while, and what hangs is not piled up on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Resting(Exception):
    """The last try failed a moment ago, or too many are under way: this one is spared."""


class Breaker:
    """Shared by all threads of a process.

    While all is well up to `width` callers are inside at once. After a failure everybody is turned away for
    `pause_s` seconds; then one caller goes first, and the others follow when it has succeeded.
    """

    def __init__(self, pause_s: float, width: int = 8) -> None:
        self._pause_s = pause_s
        self._slots = threading.BoundedSemaphore(width)
        self._lock = threading.Lock()
        self._broken = False
        self._try_again_at = 0.0

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run the body, or raise Resting at once. Whatever the body raises counts as a failure."""
        if not self._slots.acquire(blocking=False):
            raise Resting
        try:
            self._enter()
            try:
                yield
            except BaseException:
                self._note(broken=True)
                raise
            self._note(broken=False)
        finally:
            self._slots.release()

    def reset(self) -> None:
        """Forget that anything failed."""
        self._note(broken=False)

    def _enter(self) -> None:
        with self._lock:
            now = time.monotonic()
            if self._broken and now < self._try_again_at:
                raise Resting
            self._try_again_at = now + self._pause_s

    def _note(self, *, broken: bool) -> None:
        with self._lock:
            self._broken = broken
            self._try_again_at = time.monotonic() + self._pause_s
