"""What the poll learns and others should know: collected in memory, written in batches, off the hot path."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

import structlog
from django.db import DatabaseError
from django.utils import timezone

from portal.redis_pipe import Pipe, Refused, Unreachable, pack
from terminals import commands
from terminals.headers import parse_telemetry
from terminals.polling import seen
from terminals.polling.bearers import Caller
from terminals.polling.clerk import Clerk

log = structlog.get_logger(__name__)
FETCHED_EVERY_S = 0.3
SEEN_EVERY_S = 1.0
# While Redis is away, the rows are told every so many seconds.
ROWS_EVERY_S = 5.0
NOTED_MAX = 50_000
MEMBERS_AT_ONCE = 1000


class Notes:
    """Two notebooks: tokens that were handed over go into the rows, calls of terminals into Redis.

    A note that gets lost does no harm: receipts make good the first kind, the next call the second.
    """

    def __init__(self, pipe: Pipe, clerk: Clerk) -> None:
        self._pipe = pipe
        self._clerk = clerk
        # By the id of the token, not of the command: one that was signed anew is news again.
        self._fetched: dict[str, datetime] = {}
        self._noted: set[str] = set()
        self._called: set[Caller] = set()
        self._rows_at = 0.0
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def fetched(self, jtis: Iterable[str]) -> None:
        """The tokens were handed to their terminal just now."""
        news = [jti for jti in jtis if jti not in self._noted]
        if news:
            now = timezone.now()
            self._fetched = dict.fromkeys(news, now) | self._fetched
            self._keep_running("fetched")

    def called(self, caller: Caller) -> None:
        """The terminal called, and what it said and was answered stands on `caller`."""
        if not self._called:
            self._keep_running("called")
        self._called.add(caller)

    def _keep_running(self, name: str) -> None:
        task = self._tasks.get(name)
        if task is None or task.done():
            work = self._write_fetched if name == "fetched" else self._write_called
            self._tasks[name] = asyncio.create_task(work())

    async def _write_fetched(self) -> None:
        while self._fetched:
            await asyncio.sleep(FETCHED_EVERY_S)
            if not await self._flush_fetched():
                await asyncio.sleep(1)

    async def _flush_fetched(self) -> bool:
        fetched, self._fetched = self._fetched, {}
        try:
            await self._clerk.do(_mark_fetched, fetched)
        except DatabaseError as error:
            log.warning("notes_not_written", error=type(error).__name__)
            self._fetched = fetched | self._fetched
            return False
        if len(self._noted) > NOTED_MAX:
            self._noted.clear()
        self._noted.update(fetched)
        return True

    async def _write_called(self) -> None:
        while self._called:
            await asyncio.sleep(SEEN_EVERY_S)
            await self._flush_called()

    async def _flush_called(self) -> None:
        called, self._called = self._called, set()
        try:
            await self._to_sheet(list(called))
        except (Unreachable, Refused):
            await self._to_rows(called)

    async def _to_sheet(self, called: list[Caller]) -> None:
        for start in range(0, len(called), MEMBERS_AT_ONCE):
            words: list[str | bytes] = []
            for caller in called[start : start + MEMBERS_AT_ONCE]:
                words += (caller.terminal_id, seen.written(caller.noted_at, caller.status, caller.telemetry))
            await self._pipe.ask(pack("HSET", seen.SHEET, *words))

    async def _to_rows(self, called: set[Caller]) -> None:
        """Redis is away: now and then the rows are told directly, so that pages stay true."""
        now = asyncio.get_running_loop().time()
        if now - self._rows_at < ROWS_EVERY_S:
            self._called |= called
            return
        self._rows_at = now
        facts = {one.terminal_id: (one.noted_at, one.status, one.telemetry) for one in called}
        try:
            await self._clerk.do(_store, facts)
        except DatabaseError as error:
            log.warning("notes_not_written", error=type(error).__name__)

    async def close(self) -> None:
        """Write what is left."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._fetched:
            await self._flush_fetched()
        if self._called:
            await self._flush_called()


def _mark_fetched(fetched: dict[str, datetime]) -> None:
    for at in set(fetched.values()):
        commands.mark_fetched([jti for jti, when in fetched.items() if when == at], at)


def _store(facts: dict[str, tuple[float, int, bytes]]) -> None:
    rows = {}
    for terminal_id, (at, status, told) in facts.items():
        telemetry = parse_telemetry(told.decode("ascii"))
        rows[terminal_id] = seen.Seen(datetime.fromtimestamp(at, UTC), status, telemetry)
    seen.store(rows)
