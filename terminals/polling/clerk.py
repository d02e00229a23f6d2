"""Database work for the poll: a thread with a connection of its own, and questions that share a query."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, ParamSpec, TypeVar

from django.db import DatabaseError, connection, connections

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

# A hung database holds its thread for as long as it likes; whoever asked is told much sooner.
PATIENCE_S = 3.0
# So many keys go into one query, and there is a pause between queries in which the next ones gather: a thread
# that is always busy would hold up the event loop, for the interpreter runs one of them at a time.
SHARED_MAX = 400
PAUSE_S = 0.02


class Overcrowded(Exception):
    """So many are waiting already that another one would only wait in vain."""


class Clerk:
    """One thread that talks to the database, one thing after the other."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def do(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` returns. Raises what it raises, and DatabaseError when nothing comes in time."""
        job = self._thread.submit(_steadily, lambda: call(*args, **kwargs))
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise DatabaseError("no answer in time") from None

    async def close(self) -> None:
        """Finish what was begun and let go of the connection."""
        await asyncio.wrap_future(self._thread.submit(connections.close_all))
        self._thread.shutdown(wait=False)


def _steadily(call: Callable[[], T]) -> T:
    """Keep the connection from call to call; if it broke meanwhile, try once more with a new one."""
    try:
        return call()
    except DatabaseError:
        connection.close()
    return call()


class Shared(Generic[K, V]):
    """Answers questions of one kind together: whoever comes while a query runs shares the next one."""

    def __init__(self, clerk: Clerk, answer: Callable[[Collection[K]], Mapping[K, V]], most: int) -> None:
        self._clerk = clerk
        self._answer = answer
        self._most = most
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def ask(self, key: K) -> V | None:
        """What there is for this key. Raises DatabaseError or Overcrowded."""
        future = self._waiting.get(key)
        if future is None:
            if len(self._waiting) >= self._most:
                raise Overcrowded
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._task is None:
                self._task = asyncio.create_task(self._work())
        return await asyncio.shield(future)

    async def _work(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[:SHARED_MAX]
                await self._one({key: self._waiting.pop(key) for key in keys})
                await asyncio.sleep(PAUSE_S)
        finally:
            self._task = None

    async def _one(self, asked: dict[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await self._clerk.do(self._answer, list(asked))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to all who asked
            for future in asked.values():
                future.set_exception(error)
                future.exception()  # whoever gave up waiting must not leave an unread failure behind
            return
        for key, future in asked.items():
            future.set_result(found.get(key))
