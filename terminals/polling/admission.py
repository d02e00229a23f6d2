"""Bearers that the poll has not seen before: looked up together, checked a few at a time.

A signature check costs as much as several polls. So that terminals we know are served fast whoever else
knocks, at most a few checks are made in a turn of the event loop, and the look-ups of all who came meanwhile
share one query. Whoever finds too long a queue is asked to come back, at a time of its own.

Whoever signs in somebody's name without having the key costs such a check each time, and whoever names a key
that nobody has, a look-up. After some failures what comes from the same address is looked into now and then
only, and otherwise asked to come back: bearers that name the same key, and bearers that name an unknown one.
Terminals are not locked out by that. What one has shown before is remembered, and a new bearer of a terminal
that is known is checked as ever, unless it comes from the address of somebody who forges this very key.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import DatabaseError

from terminals import authentication, jose
from terminals.authentication import ROLLING, Bearer, Owner
from terminals.polling.bearers import BearerCache, Pass
from terminals.polling.clerk import Clerk, Overcrowded, Shared
from terminals.polling.pacing import RETRY_S, Crowd
from terminals.protocol import BEARER_MAX, ProtocolError

Told = Callable[[Pass | Exception], object]

CHECKS_A_TURN = 4
QUEUE_MAX = 2000
# What one process can check at leisure in a second; the crowd is spread by it.
CHECKS_A_SECOND = 1000.0
# So many failed checks of one key from one address are free, and so many unknown keys from one address; after
# that there is one in so many seconds.
FORGERIES_FREE, FORGERY_S = 10, 0.5
UNKNOWN_FREE, UNKNOWN_S = 200, 0.05
FAILURES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Introduction:
    """A bearer that is not known yet, where it came from, and who is told what becomes of it."""

    header: bytes
    address: str
    unread: jose.Unverified
    told: Told


class Turnstile:
    """Lets a few through in each turn of the event loop, in the order in which they came."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: deque[asyncio.Future[None]] = deque()
        self._left = CHECKS_A_TURN

    def __len__(self) -> int:
        return len(self._queue)

    def slip_through(self) -> bool:
        """Whether it is one's turn already, for nobody waits."""
        if self._queue or not self._left:
            return False
        self._count()
        return True

    def enter(self) -> asyncio.Future[None]:
        """Done when it is one's turn. Raises Overcrowded."""
        if len(self._queue) >= QUEUE_MAX:
            raise Overcrowded
        future = self._loop.create_future()
        if self.slip_through():
            future.set_result(None)
        else:
            self._queue.append(future)
        return future

    def _count(self) -> None:
        if self._left == CHECKS_A_TURN:
            self._loop.call_soon(self._turn)
        self._left -= 1

    def _turn(self) -> None:
        self._left = CHECKS_A_TURN
        while self._queue and self._left:
            future = self._queue.popleft()
            if not future.done():
                self._count()
                future.set_result(None)


class Failures:
    """How often something failed of late, by whose fault it is; bounded, the longest quiet out first."""

    def __init__(self, free: int, every_s: float) -> None:
        self._most = free * every_s
        self._every_s = every_s
        self._due: OrderedDict[str, float] = OrderedDict()

    def are_too_many(self, whose: str) -> bool:
        """Whether what comes next is not worth a try now."""
        return self._due.get(whose, 0.0) - time.monotonic() > self._most

    def count(self, whose: str) -> None:
        """Another one."""
        self._due[whose] = max(self._due.pop(whose, 0.0), time.monotonic()) + self._every_s
        if len(self._due) > FAILURES_MAX:
            self._due.popitem(last=False)


class Admission:
    """Verifies what the cache does not know, and puts it there."""

    def __init__(
        self, bearers: BearerCache, clerk: Clerk, do: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        self._bearers = bearers
        self._clerk = clerk
        self._do = do
        self._owners = Shared(clerk, authentication.owners_of, QUEUE_MAX)
        self._forgeries = Failures(FORGERIES_FREE, FORGERY_S)
        self._unknown = Failures(UNKNOWN_FREE, UNKNOWN_S)
        self.crowd = Crowd(CHECKS_A_SECOND)
        self.turnstile = Turnstile()
        self.outcomes: Counter[str] = Counter()

    async def admit(self, header: bytes, address: str) -> Pass:
        """The pass of this Authorization header. Raises ProtocolError."""
        future = asyncio.get_running_loop().create_future()
        self.ask(header, address, partial(_settle, future))
        found: Pass = await future
        return found

    def ask(self, header: bytes, address: str, told: Told) -> None:
        """Have `told` called with the pass of this Authorization header, or with why there is none.

        That is at once unless one has to wait, and without a task unless the rows have to be asked.
        """
        try:
            unread, owner = self._peek(header, address)
            caller = Introduction(header, address, unread, told)
            if owner is None or owner.standing == ROLLING:
                self._do(self._ask_rows(caller))
                return
            if not self.turnstile.slip_through():
                self.turnstile.enter().add_done_callback(lambda _: self._take_turn(caller))
                return
            found = self._prove(caller, owner)
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked hears of it
            told(self._counted(error))
        else:
            self._admitted(caller, found)

    def _take_turn(self, caller: Introduction) -> None:
        """It is the turn of one who was known when it came; one that is not any more is looked up."""
        owner = self._bearers.owner(caller.unread.kid)
        if owner is None or owner.standing == ROLLING:
            self._do(self._ask_rows(caller))
            return
        try:
            found = self._prove(caller, owner)
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked hears of it
            caller.told(self._counted(error))
        else:
            self._admitted(caller, found)

    async def _ask_rows(self, caller: Introduction) -> None:
        try:
            found = await self._look_up(caller)
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked hears of it
            caller.told(self._counted(error))
        else:
            self._admitted(caller, found)

    async def _look_up(self, caller: Introduction) -> Pass:
        bearers, kid = self._bearers, caller.unread.kid
        age = bearers.age
        owner = bearers.owner(kid) or await self._owners.ask(kid)
        if owner is None:
            bearers.note_stranger(caller.header)
            self._unknown.count(caller.address)
            raise ProtocolError("invalid_auth")
        await self.turnstile.enter()
        bearer = self._verify(caller, owner)
        if owner.standing == ROLLING:
            await self._clerk.do(authentication.take_over, owner)
        return bearers.put(caller.header, bearer, owner, _refusal(bearer), age)

    def _peek(self, header: bytes, address: str) -> tuple[jose.Unverified, Owner | None]:
        """The bearer, and its owner if known: all that can be told for nothing. Raises ProtocolError."""
        if len(header) > BEARER_MAX + len(authentication.SCHEME) or self._bearers.is_stranger(header):
            raise ProtocolError("invalid_auth")
        unread = authentication.peek(header.decode("latin-1"))
        owner = self._bearers.owner(unread.kid)
        hopeless = owner is None and self._unknown.are_too_many(address)
        if hopeless or self._forgeries.are_too_many(f"{unread.kid} {address}"):
            raise ProtocolError("unavailable", retry_after=RETRY_S)
        return unread, owner

    def _prove(self, caller: Introduction, owner: Owner) -> Pass:
        bearer = self._verify(caller, owner)
        return self._bearers.put(caller.header, bearer, owner, _refusal(bearer), self._bearers.age)

    def _verify(self, caller: Introduction, owner: Owner) -> Bearer:
        try:
            return authentication.prove(caller.unread, owner, time.time())
        except ProtocolError as error:
            if error.code == "invalid_auth":
                self._bearers.note_stranger(caller.header)
                self._forgeries.count(f"{caller.unread.kid} {caller.address}")
            raise

    def _admitted(self, caller: Introduction, found: Pass) -> None:
        self.outcomes["verified"] += 1
        caller.told(found)

    def _counted(self, error: Exception) -> Exception:
        """What went wrong, as the one who asked is told it."""
        if isinstance(error, DatabaseError | Overcrowded):
            error = ProtocolError("unavailable", retry_after=self.crowd.retry_after())
        if isinstance(error, ProtocolError):
            self.outcomes[error.code] += 1
        return error


def _settle(future: asyncio.Future[Pass], found: Pass | Exception) -> None:
    if future.done():
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)


def _refusal(bearer: Bearer) -> ProtocolError | None:
    try:
        authentication.admit(bearer)
    except ProtocolError as error:
        return error
    return None
