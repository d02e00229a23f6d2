"""The terminals' poll, a plain ASGI callable: no ORM while Redis can be trusted (design D10, protocol §3)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, close_old_connections

from terminals import delivery
from terminals.authentication import Bearer, admit, verify
from terminals.bearers import BearerCache
from terminals.headers import parse_telemetry, poll_header
from terminals.health import INTERVAL_S, JITTER_S, WAIT_S
from terminals.inbox import Contents, InboxUnavailable, Reader
from terminals.notes import Notes
from terminals.protocol import (
    TELEMETRY_MAX,
    TOKENS_PER_POLL,
    WAIT_MAX,
    ProtocolError,
)
from terminals.wakeups import Wakeups

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)
# How many polls may read the database at once while Redis is away; the rest are asked to come back.
DATABASE_READS: Final = 4
RETRY_S: Final = 3
# An inbox answers within milliseconds; after this long the rows are asked instead.
READ_S: Final = 0.5
# While a command is under way the terminal polls fast for this long.
FAST_S: Final = 120
# A held poll looks again after this long even if no wake-up came, for wake-ups may be lost.
RECHECK_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Question:
    """What a terminal asks: how many tokens, how long it may wait, and what it holds already."""

    wait: int
    most: int
    etag: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers besides those every answer carries."""

    status: int
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


class Poll:
    """One per event loop: connections, caches and notes of a poll process."""

    def __init__(self) -> None:
        self.reader = Reader(settings.REDIS_URL, READ_S)
        self.bearers = BearerCache()
        self.notes = Notes()
        self.wakeups = Wakeups(self.reader.redis, self.bearers)
        self._database = asyncio.Semaphore(DATABASE_READS)

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """The answer to one poll. Raises ProtocolError."""
        if scope["method"] != "GET":
            raise ProtocolError("method_not_allowed")
        headers = dict(scope["headers"])
        bearer = await self._authenticate(headers.get(b"authorization", b""))
        admit(bearer)
        question = _question(scope["query_string"], headers.get(b"if-none-match", b""))
        telemetry = headers.get(b"rekey-telemetry", b"")[: TELEMETRY_MAX + 1].decode("latin-1")
        self.notes.seen(bearer.terminal_id, parse_telemetry(telemetry))
        contents = await self._wait(bearer.terminal_id, question, receive)
        return self._answered(contents, question, bearer)

    async def _authenticate(self, header: bytes) -> Bearer:
        bearer = self.bearers.get(header)
        if bearer is None:
            self.wakeups.start()
            bearer = await sync_to_async(_verify, thread_sensitive=False)(header.decode("latin-1"))
            self.bearers.put(header, bearer)
        return bearer

    async def _read(self, terminal_id: str) -> Contents:
        """The inbox, or the rows behind it when the inbox cannot be trusted; never a guess."""
        try:
            contents = await self.reader.read(terminal_id)
            if contents.trusted:
                return contents
        except InboxUnavailable:
            pass
        if self._database.locked():
            raise ProtocolError("unavailable", retry_after=RETRY_S)
        async with self._database:
            try:
                return await sync_to_async(_rows, thread_sensitive=False)(terminal_id)
            except DatabaseError:
                raise ProtocolError("unavailable", retry_after=RETRY_S) from None

    async def _wait(self, terminal_id: str, question: Question, receive: Receive) -> Contents:
        """The inbox as soon as it differs from what the terminal holds, or at the end of its patience."""
        if question.wait == 0:
            return await self._read(terminal_id)
        self.wakeups.start()
        # Listen first, then look: what arrives in between is heard.
        with self.wakeups.listen(terminal_id) as woken:
            gone = asyncio.ensure_future(_disconnected(receive))
            try:
                return await self._hold(terminal_id, question, woken, gone)
            finally:
                gone.cancel()

    async def _hold(
        self, terminal_id: str, question: Question, woken: asyncio.Event, gone: asyncio.Future[None]
    ) -> Contents:
        deadline = time.monotonic() + question.wait
        contents = await self._read(terminal_id)
        while not _differs(contents, question) and not gone.done():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            waiter = asyncio.ensure_future(woken.wait())
            pause = min(left, RECHECK_S)
            both: set[asyncio.Future[Any]] = {gone, waiter}
            await asyncio.wait(both, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            woken.clear()
            contents = await self._read(terminal_id)
        return contents

    def _answered(self, contents: Contents, question: Question, bearer: Bearer) -> Answer:
        pace = [(b"rekey-poll", _pace(bearer.power, busy=bool(contents.items)))]
        if not contents.items:
            return Answer(204, headers=pace)
        items = contents.items[: question.most]
        etag = _etag(contents, question.most)
        headers = [*pace, (b"etag", etag.encode())]
        self.notes.fetched(item.jti for item in items)
        if etag == question.etag:
            return Answer(304, headers=headers)
        body = {"tokens": [item.token for item in items], "more": len(contents.items) > len(items)}
        headers.append((b"content-type", b"application/json"))
        return Answer(200, json.dumps(body, separators=(",", ":")).encode(), headers)

    async def close(self) -> None:
        """Write the notes down and let go of the connections."""
        await self.notes.close()
        await self.wakeups.close()
        await self.reader.close()


def _verify(header: str) -> Bearer:
    close_old_connections()
    try:
        return verify(header)
    except DatabaseError:
        raise ProtocolError("unavailable", retry_after=RETRY_S) from None
    finally:
        close_old_connections()


def _rows(terminal_id: str) -> Contents:
    close_old_connections()
    try:
        return Contents(tuple(delivery.waiting_for(terminal_id)), trusted=True)
    finally:
        close_old_connections()


def _question(query: bytes, etag: bytes) -> Question:
    asked = dict(parse_qsl(query.decode("latin-1")))
    wait = _number(asked.get("wait", "0"), 0, WAIT_MAX)
    most = _number(asked.get("max", str(TOKENS_PER_POLL)), 1, TOKENS_PER_POLL)
    return Question(wait, most, etag.decode("latin-1"))


def _number(text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ProtocolError("malformed", "query")
    return min(max(int(text), low), high)


def _etag(contents: Contents, most: int) -> str:
    if not contents.items:
        return ""
    named = ",".join(f"{item.seq}:{item.command_id}" for item in contents.items[:most])
    more = len(contents.items) > most
    return f'"{hashlib.sha256(f"{named}|{more}".encode()).hexdigest()[:22]}"'


def _differs(contents: Contents, question: Question) -> bool:
    return _etag(contents, question.most) != question.etag


def _pace(power: str, *, busy: bool) -> bytes:
    fast_until = int(time.time()) + FAST_S if busy else None
    return poll_header(INTERVAL_S[power], JITTER_S, WAIT_S, fast_until).encode()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_polls: WeakKeyDictionary[asyncio.AbstractEventLoop, Poll] = WeakKeyDictionary()


def poll_of_this_loop() -> Poll:
    """The Poll of the running event loop, made on first use."""
    loop = asyncio.get_running_loop()
    poll = _polls.get(loop)
    if poll is None:
        poll = _polls[loop] = Poll()
    return poll


async def close() -> None:
    """Shut down this loop's Poll, if it has one."""
    poll = _polls.pop(asyncio.get_running_loop(), None)
    if poll is not None:
        await poll.close()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `GET /terminal/v1/commands`; every failure is problem+json."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    trace = secrets.token_hex(8)
    try:
        answer = await poll_of_this_loop().answer(scope, receive)
    except ProtocolError as error:
        answer = _problem(error, trace)
    except Exception as error:
        log.exception("poll_failed", trace=trace, error=type(error).__name__)
        answer = _problem(ProtocolError("internal", retry_after=RETRY_S), trace)
    headers = [
        *answer.headers,
        (b"cache-control", b"no-store"),
        (b"date", formatdate(usegmt=True).encode()),
        (b"rekey-trace", trace.encode()),
    ]
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _lifespan(receive: Receive, send: Send) -> None:
    """The server starts or stops: at the end, write the notes down and let go of Redis."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await close()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _problem(error: ProtocolError, trace: str) -> Answer:
    headers = [(b"content-type", b"application/problem+json")]
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    return Answer(error.status, json.dumps(error.problem(trace)).encode(), headers)
