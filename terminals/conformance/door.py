"""Where a terminal's polls wait until the kit is ready for them: so a round has a beginning and an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Terminals give up 10 s after the time for which they asked to be held, and they are told not to ask for any.
_HELD_MOST: Final = 8.0


class Door:
    """Lets polls in one by one while somebody keeps it; while nobody does, all go straight through."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._kept = False
        # Polls are numbered as they come: the last one that came, was let in, and was answered.
        self._come = self._admitted = self._answered = 0
        self._status = 0
        self._came_at = time.monotonic()

    def knock(self) -> int:
        """Wait until this poll may go in; returns its number. A newer poll ends the wait of an older one."""
        with self._moved:
            self._come += 1
            mine, self._came_at = self._come, time.monotonic()
            self._moved.notify_all()
            self._moved.wait_for(
                lambda: not self._kept or self._admitted >= mine or self._come > mine, _HELD_MOST
            )
            self._admitted = max(self._admitted, mine)
            return mine

    def leave(self, number: int, status: int) -> None:
        """Say how this poll was answered."""
        with self._moved:
            self._answered, self._status = max(self._answered, number), status
            self._moved.notify_all()

    def admit(self, patience: float) -> int:
        """Let the next poll in and return the status of its answer; 0 if none came in so many seconds."""
        with self._moved:
            self._kept = True
            if not self._moved.wait_for(lambda: self._come > self._admitted, patience):
                return 0
            number = self._admitted = self._come
            self._moved.notify_all()
            self._moved.wait_for(lambda: self._answered >= number, patience)
            return self._status

    def next_at(self, patience: float) -> float:
        """When the poll after the one that was let in came, on a clock that never jumps; 0 if none did."""
        with self._moved:
            came = self._moved.wait_for(lambda: self._come > self._admitted, patience)
            return self._came_at if came else 0.0

    @contextmanager
    def unkept(self) -> Iterator[None]:
        """Nobody keeps it meanwhile, for somebody is busy elsewhere for a time that we do not know."""
        with self._moved:
            before, self._kept = self._kept, False
            self._moved.notify_all()
        try:
            yield
        finally:
            with self._moved:
                self._kept = before
