"""One pub/sub connection a process: it wakes held polls and evicts bearers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import redis.asyncio
import structlog

from terminals.bearers import BearerCache
from terminals.inbox import EVICT, WAKE, InboxUnavailable

log = structlog.get_logger(__name__)
RECONNECT_S = 1.0


class Wakeups:
    """Listens for as long as the process lives; while Redis is away, held polls look for themselves."""

    def __init__(self, client: redis.asyncio.Redis, bearers: BearerCache) -> None:
        self._client = client
        self._bearers = bearers
        self._held: dict[str, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, once."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen())

    @contextmanager
    def listen(self, terminal_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the terminal's inbox may have changed."""
        event = asyncio.Event()
        self._held.setdefault(terminal_id, set()).add(event)
        try:
            yield event
        finally:
            held = self._held[terminal_id]
            held.discard(event)
            if not held:
                del self._held[terminal_id]

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (InboxUnavailable, OSError, TimeoutError) as error:
                log.info("wakeups_away", error=type(error).__name__)
            await asyncio.sleep(RECONNECT_S)

    async def _listen_once(self) -> None:
        async with self._client.pubsub() as pubsub:
            await pubsub.subscribe(WAKE, EVICT)
            # What was published while nobody listened is gone: trust nothing, and let everybody look again.
            self._bearers.clear()
            for events in self._held.values():
                for event in events:
                    event.set()
            async for message in pubsub.listen():
                if message["type"] == "message":
                    self._heard(message["channel"], message["data"])

    def _heard(self, channel: str, terminal_id: str) -> None:
        if channel == EVICT:
            self._bearers.evict(terminal_id)
        for event in self._held.get(terminal_id, ()):
            event.set()

    async def close(self) -> None:
        """Stop listening."""
        # The client may swallow a cancellation while it connects, so it is asked until it has stopped.
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=0.1)
