"""A terminal somewhere on the wire: the kit can only wait for its requests, and for hands at the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from terminals.conformance.door import Door
from terminals.conformance.hands import Nobody
from terminals.conformance.rules import Broken, CannotTell
from terminals.conformance.server import Server

_UNAUTHORIZED: Final = 401
_TICK: Final = 0.02


@dataclass
class Watched:
    """A terminal under test; times are in seconds, and longer than a sound terminal ever needs."""

    server: Server
    show: Callable[[str], None]
    # Until somebody has scanned or typed the code; then so long without a request means that it gave up.
    first: float = 900.0
    quiet: float = 30.0
    # The pace that holds without Rekey-Poll, and a bit.
    patience: float = 120.0
    # A request that is asked once more comes at once.
    again: float = 3.0
    silent: bool = False
    door: Door = field(default_factory=Door)

    def __post_init__(self) -> None:
        self.server.door = self.door
        self.server.hold_most = 0
        # The next rule follows at once, as a rule.
        self.server.more_follows = True

    def pair(self, qr: str) -> None:
        """Show the code, and wait until the terminal is paired or has given up."""
        before, key = len(self.server.asked("enroll")), dict(self.server.sign_key)
        self.show(qr)
        self._until(lambda: len(self.server.asked("enroll")) > before, self.first)
        self._until(lambda: self.server.sign_key != key or self._given_up(), self.first)

    def _given_up(self) -> bool:
        last = max(request.at for request in self.server.requests) if self.server.requests else 0.0
        return time.monotonic() - last > self.quiet

    def _until(self, reached: Callable[[], bool], patience: float) -> None:
        deadline = time.monotonic() + patience
        while not reached() and time.monotonic() < deadline:
            time.sleep(_TICK)

    def round(self, *, at_most: float = 0.0) -> float:
        """Answer the next poll, and return the seconds until the one after it: all is done by then.

        A poll that is refused and asked again at once is one round. `at_most` is how long to wait for the
        second one if not as long as usual. Raises Broken, then CannotTell, if the terminal does not ask.
        """
        self._admit()
        admitted = time.monotonic()
        came = self.door.next_at(at_most or self.patience)
        return (came or time.monotonic()) - admitted

    def _admit(self) -> None:
        status = self.door.admit(self.again if self.silent else self.patience)
        if status == _UNAUTHORIZED and self.door.next_at(self.again):
            self.door.admit(self.again)
        if not status and self.silent:
            raise CannotTell("the terminal has stopped asking")
        self.silent = not status
        if self.silent:
            expected = f"a poll within {self.patience:.0f} s"
            raise Broken("what came before", expected, "none: the terminal has stopped asking")

    def left_alone(self, hands: Nobody) -> Nobody:
        """These hands; while they are at work the terminal's polls are answered at once."""
        return _Meanwhile(hands, self.door)


@dataclass(slots=True)
class _Meanwhile(Nobody):
    hands: Nobody
    door: Door

    def need(self, verb: str) -> None:
        self.hands.need(verb)

    def act(self, verb: str, *words: str) -> str:
        with self.door.unkept():
            return self.hands.act(verb, *words)
