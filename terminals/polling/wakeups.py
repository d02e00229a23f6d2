"""Held polls, and the news that end them: one stream, one timer, however many terminals wait."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from portal.redis_pipe import Pipe, Refused, Unreachable, pack
from terminals.inbox import CHANGE, EVICT, NEWS, Contents, contents_of
from terminals.polling.bearers import BearerCache

log = structlog.get_logger(__name__)
# The ends of waits are rounded up to this, and so many timers a second are enough for all of them.
TICK_S = 0.25
# A stream that has nothing to tell says so after this long; silence beyond it means that the line is dead.
SILENCE_S = 5.0
RECONNECT_S = 0.5
# So many news are heard at once. When there are as many there may be more, and what they carry may be old.
AT_ONCE = 1000

# What ends a wait: an inbox as it is now, or whether there is reason to look at it.
News = Contents | bool


class Held:
    """Polls that are held: at most one a terminal, ended by news or by the end of its patience."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._of_terminal: dict[str, asyncio.Future[News]] = {}
        self._due: dict[int, list[asyncio.Future[News]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    def __len__(self) -> int:
        return len(self._of_terminal)

    def hold(self, terminal_id: str, until: float) -> asyncio.Future[News]:
        """The inbox, or True, when it may have changed; False when it is time to answer.

        That is when `until` (loop time) is reached, and when the terminal asks again meanwhile.
        """
        _end(self._of_terminal.get(terminal_id), False)
        future = self._of_terminal[terminal_id] = self._loop.create_future()
        if self._closing:
            future.set_result(False)
            return future
        self._due.setdefault(math.ceil(until / TICK_S), []).append(future)
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_S, self._tick)
        return future

    def let_go(self, terminal_id: str, future: asyncio.Future[News]) -> None:
        """The poll is over, whatever ended it."""
        if self._of_terminal.get(terminal_id) is future:
            del self._of_terminal[terminal_id]

    def wake(self, terminal_id: str, contents: Contents | None = None) -> None:
        """Have the terminal's poll look again, unless this is what it would see."""
        _end(self._of_terminal.get(terminal_id), contents or True)

    def wake_all(self) -> None:
        """Have every held poll look again."""
        for terminal_id in list(self._of_terminal):
            self.wake(terminal_id)

    def _tick(self) -> None:
        now = math.floor(self._loop.time() / TICK_S)
        for tick in [tick for tick in self._due if tick <= now]:
            for future in self._due.pop(tick):
                _end(future, False)
        self._timer = self._loop.call_later(TICK_S, self._tick) if self._due else None

    def close(self) -> None:
        """Nobody waits any more: the server stops, and terminals are told what there is."""
        self._closing = True
        for future in self._of_terminal.values():
            _end(future, False)
        if self._timer is not None:
            self._timer.cancel()


def _end(future: asyncio.Future[News] | None, news: News) -> None:
    if future is not None and not future.done():
        future.set_result(news)


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
        question = pack("XREAD", "COUNT", AT_ONCE, "BLOCK", wait_ms, "STREAMS", NEWS, self._position)
        passed_on = asyncio.get_running_loop().create_future()
        self._pipe.send(question, partial(self._pass_on, passed_on))
        await passed_on

    def _pass_on(self, done: asyncio.Future[None], reply: Any) -> None:
        """Tell the news as they arrive: somebody waits for them, and to wake a task first takes time."""
        if done.done():
            return
        if isinstance(reply, Exception):
            done.set_exception(reply)
            return
        try:
            self._take(reply)
        except Exception as error:  # noqa: BLE001 - the task that follows the stream knows what to do
            done.set_exception(error)
        else:
            done.set_result(None)

    def _take(self, news: Any) -> None:
        if news is None:
            self._quiet()
            return
        heard = news[0][1]
        self._position = heard[-1][0]
        self._heard([members for _, members in heard])

    def _heard(self, news: list[list[bytes]]) -> None:
        """Tell everybody the last there is to know, for what an inbox held before is past."""
        last: dict[str, Contents | None] = {}
        for members in news:
            what, terminal_id = members[0].decode(), members[1].decode()
            if what == EVICT:
                self._bearers.evict(terminal_id)
            if what != CHANGE or terminal_id in last:
                last[terminal_id] = _carried(members)
        for terminal_id, contents in last.items():
            self._held.wake(terminal_id, contents if len(news) < AT_ONCE else None)

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


def _carried(members: list[bytes]) -> Contents | None:
    """The inbox that the news brought along."""
    inside = [member.decode() for member in members[2:]]
    return contents_of(inside, trusted=True) if inside else None


def _number(position: bytes) -> tuple[int, int]:
    """A position in a stream, which is milliseconds and a number, so that it can be compared."""
    milliseconds, _, number = position.partition(b"-")
    return int(milliseconds), int(number)
