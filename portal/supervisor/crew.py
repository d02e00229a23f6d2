"""All children together: watched, started again when one dies, stopped in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType

from portal.supervisor.child import Child

TOO_MANY_FAILURES = 5
TICK_S = 0.2


class GaveUp(RuntimeError):
    """A child died again and again; the text ends with its last words."""


class Crew:
    """Children in the order of their start; they are stopped the other way round."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self.stopping = False

    def listen(self) -> None:
        """Turn the usual signals into an orderly stop. Call it before the first child starts."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop_soon)

    def _stop_soon(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def start(self, child: Child) -> None:
        """Start a child and watch it from now on, unless a stop has been asked for."""
        if self.stopping:
            return
        self._children.append(child)
        child.start()

    def wait_for(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Watch until the condition holds; False when a stop was asked for or time is up."""
        deadline = time.monotonic() + within_s
        while not self.stopping and time.monotonic() < deadline:
            self.tend()
            if condition():
                return True
            time.sleep(TICK_S / 2)
        return False

    def watch(self, each_tick: Callable[[], None]) -> None:
        """Watch until a stop is asked for. Raises GaveUp when a child cannot be kept alive."""
        while not self.stopping:
            self.tend()
            each_tick()
            time.sleep(TICK_S)

    def tend(self) -> None:
        """Start again what has died and has waited long enough."""
        for child in self._children:
            if child.process is not None and not child.alive:
                self._bury(child)
            if child.process is None and time.monotonic() >= child.start_again_at and not self.stopping:
                child.start()

    def _bury(self, child: Child) -> None:
        if self.stopping:
            return
        child.note_death()
        if child.failures >= TOO_MANY_FAILURES:
            raise GaveUp(f"{child.name} died {child.failures} times. Its last words:\n{child.last_lines()}")
        print(f"{child.name} ended unexpectedly; starting it again.", flush=True)

    def stop(self) -> None:
        """Stop everybody, last started first; the first (Redis) is asked only when the others are gone."""
        self.stopping = True
        for child in reversed(self._children[1:]):
            child.ask()
        while self._children:
            self._children.pop().stop()
