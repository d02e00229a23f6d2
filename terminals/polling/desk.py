"""What all polls of one event loop share: connections, caches, notes, and the rows behind the inboxes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Coroutine
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError

from portal.redis_pipe import Pipe
from terminals import delivery
from terminals.inbox import EMPTY, Contents
from terminals.polling.admission import Admission
from terminals.polling.bearers import BearerCache, Caller
from terminals.polling.clerk import Clerk, Overcrowded, Shared
from terminals.polling.notes import Notes
from terminals.polling.pacing import CALM_S, Crowd
from terminals.polling.reading import Reader
from terminals.polling.wakeups import SILENCE_S, Held, Wakeups
from terminals.protocol import TELEMETRY_MAX, ProtocolError

# An inbox answers within milliseconds; after this long the rows are asked instead.
READ_S: Final = 0.5
# A terminal that goes on as before is noted this often; so old may "last seen" be.
SEEN_S: Final = 3.0
# So many terminals may wait for the rows at once while Redis is away, and so many are served in a second.
ROWS_MAX: Final = 400
ROWS_A_SECOND: Final = 400.0


class Desk:
    """One per event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.clerks = Clerk("rekey-reads"), Clerk("rekey-writes")
        self.bearers = BearerCache()
        self.held = Held()
        self.pipe = Pipe(settings.REDIS_URL, READ_S)
        self.news = Pipe(settings.REDIS_URL, SILENCE_S + 1)
        self.wakeups = Wakeups(self.news, self.held, self.bearers, self._look)
        self.reader = Reader(self.pipe, self.wakeups.doubt)
        self.admission = Admission(self.bearers, self.clerks[0], self.do)
        self.notes = Notes(self.pipe, self.clerks[1])
        self.crowd = Crowd(ROWS_A_SECOND)
        self.answers: Counter[int] = Counter()
        self._rows = Shared(self.clerks[0], _rows, ROWS_MAX)
        self._calm_until = time.monotonic() + CALM_S
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, caller: Caller, told: bytes, now: float, status: int) -> None:
        """The terminal called just now, said this of itself, and was answered so."""
        if told == caller.telemetry and status == caller.status and now < caller.noted_at + SEEN_S:
            return
        # What people are to read is checked by whoever reads it; here it must only not grow.
        caller.telemetry = told if len(told) <= TELEMETRY_MAX and told.isascii() else b""
        caller.noted_at, caller.status = now, status
        self.notes.called(caller)

    def is_calm(self) -> bool:
        """Whether terminals are spread over a longer part of their round: for a while after an outage."""
        return time.monotonic() < self._calm_until

    async def rows_of(self, caller: Caller) -> Contents:
        """What the terminal should find, from the rows behind its inbox. Raises ProtocolError."""
        self._calm_until = time.monotonic() + CALM_S
        try:
            return await self._rows.ask(caller.terminal_id) or EMPTY
        except (DatabaseError, Overcrowded):
            raise ProtocolError("unavailable", retry_after=self.crowd.retry_after()) from None

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done that takes a while; it fails by itself."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _look(self) -> None:
        """Nothing was heard for a while: make sure that there was nothing to hear."""
        self.reader.look()

    async def close(self) -> None:
        """Write the notes down and let go of the connections."""
        self.held.close()
        await self.wakeups.close()
        await self.notes.close()
        for part in (self.pipe, self.news, *self.clerks):
            await part.close()


def _rows(terminal_ids: Collection[str]) -> dict[str, Contents]:
    found = delivery.waiting_for_all(terminal_ids)
    return {terminal_id: Contents(tuple(items), trusted=True) for terminal_id, items in found.items()}
