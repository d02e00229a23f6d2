"""What the poll learns and the database should know: written in batches, off the hot path."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

import structlog
from asgiref.sync import sync_to_async
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from terminals import commands
from terminals.headers import Telemetry
from terminals.health import note_seen

log = structlog.get_logger(__name__)
FLUSH_S = 0.3
SEEN_EVERY_S = 5.0
NOTED_MAX = 50_000


def write(fetched: dict[str, datetime], seen: dict[str, tuple[datetime, Telemetry | None]]) -> None:
    """Store one batch. Raises DatabaseError."""
    close_old_connections()
    try:
        for at in set(fetched.values()):
            commands.mark_fetched([jti for jti, when in fetched.items() if when == at], at)
        note_seen(seen)
    finally:
        close_old_connections()


class Notes:
    """Collects in memory and writes a few times a second; lost notes are made good by receipts."""

    def __init__(self) -> None:
        # By the id of the token, not of the command: one that was signed anew is news again.
        self._fetched: dict[str, datetime] = {}
        self._noted: set[str] = set()
        self._seen: dict[str, tuple[datetime, Telemetry | None]] = {}
        self._written: dict[str, datetime] = {}
        self._task: asyncio.Task[None] | None = None

    def fetched(self, jtis: Iterable[str]) -> None:
        """The tokens were handed to their terminal just now."""
        now = timezone.now()
        for jti in jtis:
            if jti not in self._noted:
                self._fetched.setdefault(jti, now)
        self._wake()

    def seen(self, terminal_id: str, telemetry: Telemetry | None) -> None:
        """The terminal polled just now."""
        now = timezone.now()
        last = self._written.get(terminal_id)
        if last is None or (now - last).total_seconds() >= SEEN_EVERY_S:
            self._seen[terminal_id] = (now, telemetry)
            self._wake()

    def _wake(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        while self._fetched or self._seen:
            await asyncio.sleep(FLUSH_S)
            fetched, self._fetched = self._fetched, {}
            seen, self._seen = self._seen, {}
            try:
                await sync_to_async(write, thread_sensitive=False)(fetched, seen)
            except DatabaseError as error:
                log.warning("notes_not_written", error=type(error).__name__)
                self._fetched = fetched | self._fetched
                await asyncio.sleep(1)
                continue
            if len(self._noted) > NOTED_MAX:
                self._noted.clear()
            self._noted.update(fetched)
            self._written.update({terminal_id: at for terminal_id, (at, _) in seen.items()})

    async def close(self) -> None:
        """Write what is left."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
