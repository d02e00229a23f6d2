"""Ids, keys and hours that come out the same in every run, so that whatever is found can be played again."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from hashlib import shake_256
from types import SimpleNamespace
from typing import Final
from unittest.mock import patch

import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from portal import celery
from terminals import jose
from terminals.polling import bearers, visits

BEGIN: Final = 1_800_000_000
# Between two requests, and between two rules: nothing happens twice at the same microsecond.
TICK_S: Final = 0.01


class Chance:
    """Everything that a machine would otherwise draw or read off a clock. One at a time."""

    def __init__(self) -> None:
        self._drawn = itertools.count()
        self._keys = itertools.count()
        self._passwords = itertools.count(1)
        self.travel = time_machine.travel(BEGIN, tick=False)
        self.hours: time_machine.Traveller | None = None
        # The commands that workers were asked to deliver.
        self.nudged: list[str] = []

    @contextmanager
    def governs(self) -> Iterator[None]:
        """From here on nothing is drawn elsewhere, time stands still until somebody moves it, no queue works.

        Whoever counts seconds by another clock would refuse every poll, for hours pass in a second here.
        """
        self.hours = self.travel.start()
        # The first keys are the issuer's, who stays; a run's own must be none of them.
        self._keys = itertools.count()
        travelled = SimpleNamespace(time=time.time, monotonic=time.time)
        changed = (
            (random, "_urandom", self.octets),
            (jose, "generate_key", self.key),
            (celery.post, "send", self._nudge),
            (bearers, "time", travelled),
            (visits, "time", travelled),
        )
        try:
            with ExitStack() as stack:
                for where, name, ours in changed:
                    stack.enter_context(patch.object(where, name, ours))
                yield
        finally:
            self.travel.stop()

    def _nudge(self, task: str, ident: str) -> None:
        if task == "terminals.tasks.deliver":
            self.nudged.append(ident)

    def begin_anew(self) -> None:
        """A run begins: the same draws again, at the same hour."""
        self._drawn, self._keys, self._passwords = itertools.count(), itertools.count(100), itertools.count(1)
        self.nudged.clear()
        if self.hours is not None:
            self.hours.move_to(BEGIN, tick=False)

    def pass_time(self, seconds: float = TICK_S) -> None:
        """Let so many seconds go by."""
        if self.hours is not None:
            self.hours.shift(seconds)

    def octets(self, number: int) -> bytes:
        """So many, other ones each time."""
        return shake_256(b"drawn %d" % next(self._drawn)).digest(number)

    def key(self, crv: str) -> dict[str, str]:
        """As `jose.generate_key`."""
        return dict(_key(crv, next(self._keys)))

    def password(self) -> str:
        """Six digits that no other command of this run has, and that no rule of the terminal forbids."""
        while True:
            text = f"{(next(self._passwords) * 7919 + 104_729) % 1_000_000:06}"
            if text not in ("123456", "000000"):
                return text


@lru_cache(maxsize=4096)
def _key(crv: str, number: int) -> dict[str, str]:
    seed = shake_256(f"{crv} {number}".encode()).digest(32)
    kind = Ed25519PrivateKey if crv == jose.SIGN else X25519PrivateKey
    public = kind.from_private_bytes(seed).public_key().public_bytes_raw()
    return {"kty": "OKP", "crv": crv, "x": jose.b64u(public), "d": jose.b64u(seed)}


chance = Chance()
