"""Held polls, and the news that end them: one stream, one timer, however many terminals wait."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import structlog

from portal.redis_pipe import Pipe, Refused, Unreachable, pack
from terminals.inbox import EVICT, NEWS
from terminals.polling.bearers import BearerCache

log = structlog.get_logger(__name__)
# The ends of waits are rounded up to this, and so many timers a second are enough for all of them.
TICK_S = 0.25
# A stream that has nothing to tell says so after this long; silence beyond it means that the line is dead.
SILENCE_S = 5.0
RECONNECT_S = 0.5


class Held:
    """Polls that are held: at most one a terminal, ended by news or by the end of its patience."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._of_terminal: dict[str, asyncio.Future[bool]] = {}
        self._due: dict[int, list[asyncio.Future[bool]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    def __len__(self) -> int:
        return len(self._of_terminal)

    def hold(self, terminal_id: str, until: float) -> asyncio.Future[bool]:
        """True when the inbox may have changed; False when it is time to answer.

        That is when `until` (loop time) is reached, and when the terminal asks again meanwhile.
        """
        _end(self._of_terminal.get(terminal_id), look_again=False)
        future = self._of_terminal[terminal_id] = self._loop.create_future()
        if self._closing:
            future.set_result(False)
            return future
        self._due.setdefault(math.ceil(until / TICK_S), []).append(future)
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_S, self._tick)
        return future

    def let_go(self, terminal_id: str, future: asyncio.Future[bool]) -> None:
        """The poll is over, whatever ended it."""
        if self._of_terminal.get(terminal_id) is future:
            del self._of_terminal[terminal_id]

    def wake(self, terminal_id: str) -> None:
        """Have the terminal's poll look again."""
        _end(self._of_terminal.get(terminal_id), look_again=True)

    def wake_all(self) -> None:
        """Have every held poll look again."""
        for terminal_id in list(self._of_terminal):
            self.wake(terminal_id)

    def _tick(self) -> None:
        now = math.floor(self._loop.time() / TICK_S)
        for tick in [tick for tick in self._due if tick <= now]:
            for future in self._due.pop(tick):
                _end(future, look_again=False)
        self._timer = self._loop.call_later(TICK_S, self._tick) if self._due else None

    def close(self) -> None:
        """Nobody waits any more: the server stops, and terminals are told what there is."""
        self._closing = True
        for future in self._of_terminal.values():
            _end(future, look_again=False)
        if self._timer is not None:
            self._timer.cancel()


def _end(future: asyncio.Future[bool] | None, *, look_again: bool) -> None:
    if future is not None and not future.done():
        future.set_result(look_again)


class Wakeups:
    """Follows the stream of news for as long as the process lives.

    A reader of a stream goes on where it stopped, so a lost connection loses no news. Only when the stream
    itself is lost, or was cut behind our position, nothing that is remembered can be trusted any more.
    """

    def __init__(self, pipe: Pipe, held: Held, bearers: BearerCache, quiet: Callable[[], None]) -> None:
        self._pipe = pipe
        self._held = held
        self._bearers = bearers
        self._quiet = quiet
        self._position = b""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, once."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow())

    def doubt(self) -> None:
        """News may have been missed: trust nothing, and let everybody look again."""
        self._bearers.clear()
        self._held.wake_all()

    async def _follow(self) -> None:
        while True:
            try:
                await self._begin()
                while True:
                    await self._hear()
            except (Unreachable, Refused) as error:
                log.info("wakeups_away", error=str(error))
            except Exception:
                log.exception("wakeups_failed")
                self.doubt()
            await asyncio.sleep(RECONNECT_S)

    async def _begin(self) -> None:
        """Find the place in the stream, and out whether what we have not heard is still there."""
        oldest = await self._pipe.ask(pack("XRANGE", NEWS, "-", "+", "COUNT", 1))
        newest = await self._pipe.ask(pack("XREVRANGE", NEWS, "+", "-", "COUNT", 1))
        if not self._position or not oldest or _number(oldest[0][0]) > _number(self._position):
            self._position = newest[0][0] if newest else b"0-0"
            self.doubt()

    async def _hear(self) -> None:
        wait_ms = int(SILENCE_S * 1000)
        question = pack("XREAD", "COUNT", 1000, "BLOCK", wait_ms, "STREAMS", NEWS, self._position)
        news = await self._pipe.ask(question)
        if news is None:
            self._quiet()
            return
        for position, members in news[0][1]:
            self._position = position
            self._heard(members)

    def _heard(self, members: list[Any]) -> None:
        what, terminal_id = members[0].decode(), members[1].decode()
        if what == EVICT:
            self._bearers.evict(terminal_id)
        self._held.wake(terminal_id)

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


def _number(position: bytes) -> tuple[int, int]:
    """A position in a stream, which is milliseconds and a number, so that it can be compared."""
    milliseconds, _, number = position.partition(b"-")
    return int(milliseconds), int(number)
