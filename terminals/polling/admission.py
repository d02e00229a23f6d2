"""Bearers that the poll has not seen before: looked up together, checked a few at a time.

A signature check costs as much as several polls. So that terminals we know are served fast whoever else
knocks, at most a few checks are made in a turn of the event loop, and the look-ups of all who came meanwhile
share one query. Whoever finds too long a queue is asked to come back, at a time of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque

from django.db import DatabaseError

from terminals import authentication
from terminals.authentication import ROLLING, Bearer
from terminals.polling.bearers import BearerCache, Pass
from terminals.polling.clerk import Clerk, Overcrowded, Shared
from terminals.polling.pacing import Crowd
from terminals.protocol import BEARER_MAX, ProtocolError

CHECKS_A_TURN = 4
QUEUE_MAX = 2000
# What one process can check at leisure in a second; the crowd is spread by it.
CHECKS_A_SECOND = 1000.0


class Turnstile:
    """Lets a few through in each turn of the event loop, in the order in which they came."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: deque[asyncio.Future[None]] = deque()
        self._turning = False

    def __len__(self) -> int:
        return len(self._queue)

    def enter(self) -> asyncio.Future[None]:
        """Done when it is one's turn. Raises Overcrowded."""
        if len(self._queue) >= QUEUE_MAX:
            raise Overcrowded
        future = self._loop.create_future()
        self._queue.append(future)
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)
        return future

    def _turn(self) -> None:
        for _ in range(min(CHECKS_A_TURN, len(self._queue))):
            future = self._queue.popleft()
            if not future.done():
                future.set_result(None)
        self._turning = bool(self._queue)
        if self._turning:
            self._loop.call_soon(self._turn)


class Admission:
    """Verifies what the cache does not know, and puts it there."""

    def __init__(self, bearers: BearerCache, clerk: Clerk) -> None:
        self._bearers = bearers
        self._clerk = clerk
        self._owners = Shared(clerk, authentication.owners_of, QUEUE_MAX)
        self.crowd = Crowd(CHECKS_A_SECOND)
        self.turnstile = Turnstile()
        self.outcomes: Counter[str] = Counter()

    async def admit(self, header: bytes) -> Pass:
        """The pass of this Authorization header. Raises ProtocolError."""
        try:
            made = await self._admit(header)
        except ProtocolError as error:
            self.outcomes[error.code] += 1
            raise
        except (DatabaseError, Overcrowded):
            self.outcomes["unavailable"] += 1
            raise ProtocolError("unavailable", retry_after=self.crowd.retry_after()) from None
        self.outcomes["verified"] += 1
        return made

    async def _admit(self, header: bytes) -> Pass:
        bearers = self._bearers
        if len(header) > BEARER_MAX + len(authentication.SCHEME) or bearers.is_stranger(header):
            raise ProtocolError("invalid_auth")
        age = bearers.age
        unread = authentication.peek(header.decode("latin-1"))
        owner = bearers.owner(unread.kid) or await self._owners.ask(unread.kid)
        if owner is None:
            bearers.note_stranger(header)
            raise ProtocolError("invalid_auth")
        await self.turnstile.enter()
        try:
            bearer = authentication.prove(unread, owner, time.time())
        except ProtocolError as error:
            if error.code == "invalid_auth":
                bearers.note_stranger(header)
            raise
        if owner.standing == ROLLING:
            await self._clerk.do(authentication.take_over, owner)
        return bearers.put(header, bearer, owner, _refusal(bearer), age)


def _refusal(bearer: Bearer) -> ProtocolError | None:
    try:
        authentication.admit(bearer)
    except ProtocolError as error:
        return error
    return None
