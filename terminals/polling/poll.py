"""The terminals' poll, a plain ASGI callable: no ORM while Redis can be trusted (design D10, protocol §3)."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog
from django.conf import settings
from django.db import DatabaseError

from portal.http import at_stop
from portal.redis_pipe import Pipe, Unreachable
from terminals import delivery
from terminals.inbox import EMPTY, UNTRUSTED, Contents
from terminals.polling.admission import Admission
from terminals.polling.bearers import BearerCache, Caller, Pass
from terminals.polling.clerk import Clerk, Overcrowded, Shared
from terminals.polling.notes import Notes
from terminals.polling.pacing import CALM_S, FAST_S, RETRY_S, Crowd, Header, pace
from terminals.polling.reading import Reader
from terminals.polling.wakeups import SILENCE_S, Held, Wakeups
from terminals.protocol import TELEMETRY_MAX, TOKENS_PER_POLL, WAIT_MAX, ProtocolError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Pages = Callable[[Any, Any, Any], Awaitable[None]]

log = structlog.get_logger(__name__)
# An inbox answers within milliseconds; after this long the rows are asked instead.
READ_S: Final = 0.5
# A terminal that goes on as before is noted this often; so old may "last seen" be.
SEEN_S: Final = 3.0
# So many terminals may wait for the rows at once while Redis is away, and so many are served in a second.
ROWS_MAX: Final = 400
ROWS_A_SECOND: Final = 400.0

GC_SELDOM: Final = (20_000, 50, 100)

NO_STORE: Final = (b"cache-control", b"no-store")
CLOSE: Final = (b"connection", b"close")
JSON: Final = (b"content-type", b"application/json")
PROBLEM: Final = (b"content-type", b"application/problem+json")
NOTHING_MORE: Final = {"type": "http.response.body", "body": b""}


@dataclass(frozen=True, slots=True)
class Question:
    """What a terminal asks: how many tokens, and how long it may wait for them."""

    wait: int
    most: int


@dataclass(slots=True)
class Answer:
    """Status, headers besides those every answer carries, and body."""

    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""


class Poll:
    """One per event loop: connections, caches and notes of a poll process."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.clerks = Clerk("rekey-reads"), Clerk("rekey-writes")
        self.bearers = BearerCache()
        self.held = Held()
        self.pipe = Pipe(settings.REDIS_URL, READ_S)
        self.news = Pipe(settings.REDIS_URL, SILENCE_S + 1)
        self.wakeups = Wakeups(self.news, self.held, self.bearers, self._look)
        self.reader = Reader(self.pipe, self.wakeups.doubt)
        self.admission = Admission(self.bearers, self.clerks[0])
        self.notes = Notes(self.pipe, self.clerks[1])
        self.crowd = Crowd(ROWS_A_SECOND)
        self.answers: Counter[int] = Counter()
        self._rows = Shared(self.clerks[0], _rows, ROWS_MAX)
        self._calm_until = time.monotonic() + CALM_S

    async def answer(self, scope: Scope, receive: Receive) -> Answer | None:
        """The answer to one poll, None when nobody is there to hear it. Raises ProtocolError."""
        headers = dict(scope["headers"])
        if scope["method"] != "GET" or b"content-length" in headers or b"transfer-encoding" in headers:
            _refuse_oddities(scope["method"], headers)
        header, now = headers.get(b"authorization", b""), time.time()
        known = self.bearers.get(header, now)
        if known is None:
            known = await self._admit(header)
        if known.refusal is not None:
            raise ProtocolError(known.refusal.code, retry_after=known.refusal.retry_after)
        caller = known.caller
        early = caller.meter.early(time.monotonic())
        if early:
            self._note(caller, headers, now, 429)
            raise ProtocolError("slow_down", retry_after=early)
        question, etag = question_of(scope["query_string"]), headers.get(b"if-none-match", b"")
        if question.wait:
            self._note(caller, headers, now, caller.status)
            contents = await self._hold(caller, question, etag)
            if has_left(receive):
                return None
            now = time.time()
        else:
            contents = await self._read(caller)
        answer = self._answered(contents, question, etag, caller, now)
        self._note(caller, headers, now, answer.status)
        return answer

    async def _admit(self, header: bytes) -> Pass:
        self.wakeups.start()
        return await self.admission.admit(header)

    def _note(self, caller: Caller, headers: dict[bytes, bytes], now: float, status: int) -> None:
        told = headers.get(b"rekey-telemetry", b"")
        if told == caller.telemetry and status == caller.status and now < caller.noted_at + SEEN_S:
            return
        # What people are to read is checked by whoever reads it; here it must only not grow.
        caller.telemetry = told if len(told) <= TELEMETRY_MAX and told.isascii() else b""
        caller.noted_at, caller.status = now, status
        self.notes.called(caller)

    async def _read(self, caller: Caller) -> Contents:
        """The inbox, or the rows behind it when the inbox cannot be trusted; never a guess."""
        try:
            contents = await self.reader.read(caller.question)
        except Unreachable:
            contents = UNTRUSTED
        if contents.trusted:
            return contents
        self._calm_until = time.monotonic() + CALM_S
        try:
            return await self._rows.ask(caller.terminal_id) or EMPTY
        except (DatabaseError, Overcrowded):
            raise ProtocolError("unavailable", retry_after=self.crowd.retry_after()) from None

    async def _hold(self, caller: Caller, question: Question, etag: bytes) -> Contents:
        """The inbox as soon as it differs from what the terminal holds, or at the end of its patience."""
        self.wakeups.start()
        until, look_again = self._loop.time() + question.wait, True
        while look_again:
            # Listen first, then look: what arrives in between is heard.
            woken = self.held.hold(caller.terminal_id, until)
            try:
                contents = await self._read(caller)
                if etag_of(contents, question.most) != etag:
                    return contents
                look_again = await woken
            finally:
                self.held.let_go(caller.terminal_id, woken)
        return await self._read(caller)

    def _answered(
        self, contents: Contents, question: Question, etag: bytes, caller: Caller, now: float
    ) -> Answer:
        calm = time.monotonic() < self._calm_until
        if contents is EMPTY:
            return Answer(204, [pace(caller.interval, None, calm), NO_STORE])
        fast_until = max(contents.hurry_until, int(now) + FAST_S if contents.items else 0)
        hint = pace(caller.interval, fast_until if fast_until > now else None, calm)
        if not contents.items:
            return Answer(204, [hint, NO_STORE])
        items = contents.items[: question.most]
        named = etag_of(contents, question.most)
        self.notes.fetched(item.jti for item in items)
        if named == etag:
            return Answer(304, [hint, NO_STORE, (b"etag", named)])
        body = {"tokens": [item.token for item in items], "more": len(contents.items) > len(items)}
        text = json.dumps(body, separators=(",", ":")).encode()
        return Answer(200, [hint, NO_STORE, (b"etag", named), JSON], text)

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


def _refuse_oddities(method: str, headers: dict[bytes, bytes]) -> None:
    if method != "GET":
        raise ProtocolError("method_not_allowed")
    if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
        raise ProtocolError("malformed", "a question has no body")


@lru_cache(maxsize=1024)
def question_of(query: bytes) -> Question:
    """Read the query string. Raises ProtocolError `malformed`."""
    asked = dict(parse_qsl(query.decode("latin-1")))
    wait = _number(asked.get("wait", "0"), 0, WAIT_MAX)
    most = _number(asked.get("max", str(TOKENS_PER_POLL)), 1, TOKENS_PER_POLL)
    return Question(wait, most)


def _number(text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ProtocolError("malformed", "query")
    return min(max(int(text), low), high)


def etag_of(contents: Contents, most: int) -> bytes:
    """Names what a terminal gets; empty for an empty inbox."""
    if not contents.items:
        return b""
    named = ",".join(f"{item.seq}:{item.command_id}" for item in contents.items[:most])
    more = len(contents.items) > most
    return f'"{hashlib.sha256(f"{named}|{more}".encode()).hexdigest()[:22]}"'.encode()


def has_left(receive: Receive) -> bool:
    """Whether the client has hung up, found out without waiting for anything.

    A message that is there at once ends the first step of `receive`; one that is not will be given up again.
    So no task has to wait for each of ten thousand held terminals to leave.
    """
    for _ in range(2):  # the request itself, and then what came after it
        step = receive().__await__()
        try:
            next(step)
        except StopIteration as message:
            if message.value["type"] == "http.disconnect":
                return True
        else:
            step.close()
            return False
    return False


class _Current:
    """The Poll of the running event loop, made on first use."""

    def __init__(self) -> None:
        self.poll: Poll | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._prefix = secrets.token_hex(4).encode()
        self._count = 0

    def get(self) -> Poll:
        loop = asyncio.get_running_loop()
        if self.poll is None or self._loop is not loop:
            self.poll, self._loop = Poll(), loop
        return self.poll

    def trace(self) -> bytes:
        """A name for one answer, the same in our log: who we are, and a number."""
        self._count += 1
        return b"%b%08x" % (self._prefix, self._count & 0xFFFFFFFF)


current = _Current()


async def close() -> None:
    """Shut down this loop's Poll, if it has one."""
    poll, current.poll = current.poll, None
    if poll is not None:
        await poll.close()


class Application:
    """`GET /terminal/v1/commands` for an ASGI server, and beside it the pages for everything else.

    Every failure is problem+json. `Date` is the HTTP server's to add.
    """

    def __init__(self, pages: Pages | None = None) -> None:
        self._pages = pages
        self._path = settings.POLL_PATH

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the start and the end of the server."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif self._pages is not None and scope["path"] != self._path:
            await self._pages(scope, receive, send)
        else:
            poll, trace = current.get(), current.trace()
            try:
                answer = await poll.answer(scope, receive)
            except Exception as error:  # noqa: BLE001 - whatever it is, the terminal gets an answer
                answer = _failed(error, trace)
            if answer is None:
                return
            poll.answers[answer.status] += 1
            await send(_head(answer, trace))
            await send({"type": "http.response.body", "body": answer.body} if answer.body else NOTHING_MORE)


application = Application()


def _head(answer: Answer, trace: bytes) -> MutableMapping[str, Any]:
    headers = answer.headers
    headers.append((b"rekey-trace", trace))
    if answer.body:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


def _failed(error: Exception, trace: bytes) -> Answer:
    if isinstance(error, ProtocolError):
        return _problem(error, trace)
    log.error("poll_failed", trace=trace.decode(), error=type(error).__name__, exc_info=error)
    return _problem(ProtocolError("internal", retry_after=RETRY_S), trace)


def _problem(error: ProtocolError, trace: bytes) -> Answer:
    headers: list[Header] = [NO_STORE, PROBLEM]
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if error.code in ("malformed", "method_not_allowed"):
        # Whatever else is coming on this connection, nobody will read it.
        headers.append(CLOSE)
    return Answer(error.status, headers, json.dumps(error.problem(trace.decode())).encode())


async def _lifespan(receive: Receive, send: Send) -> None:
    """The server starts or stops: at the end, write the notes down and let go of Redis."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            # What is loaded by now stays; looking through it for garbage would hold everybody up. A request
            # leaves none behind, so to look seldom is enough.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_SELDOM)
            current.get().wakeups.start()
            at_stop.append(current.get().held.close)
        else:
            await close()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
