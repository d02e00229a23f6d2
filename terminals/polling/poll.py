"""The terminals' poll, a plain ASGI callable: no ORM while Redis can be trusted (design D10, protocol §3)."""

from __future__ import annotations

import asyncio
import gc
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any, Final

import structlog
from django.conf import settings

from portal.http import Exchange, at_stop
from portal.network import address_of
from terminals.polling import answers
from terminals.polling.answers import Answer, Question
from terminals.polling.bearers import Caller, Pass
from terminals.polling.desk import Desk
from terminals.polling.pacing import RETRY_S
from terminals.polling.visits import Outcome, Visit
from terminals.protocol import ProtocolError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Pages = Callable[[Any, Any, Any], Awaitable[None]]
Client = tuple[str, int] | None

log = structlog.get_logger(__name__)
GC_SELDOM: Final = (20_000, 50, 100)
# A thread that is busy with rows gives way to the event loop after this long; by itself after five ms.
SWITCH_S: Final = 0.0005
NOTHING_MORE: Final = {"type": "http.response.body", "body": b""}


class _Awaited(Visit):
    """A visit that a task waits for."""

    __slots__ = ("_receive", "answer")

    def __init__(
        self,
        desk: Desk,
        caller: Caller,
        question: Question,
        headers: Mapping[bytes, bytes],
        receive: Receive,
    ) -> None:
        super().__init__(desk, caller, question, headers)
        self._receive = receive
        self.answer: asyncio.Future[Answer | None] = desk.loop.create_future()

    def tell(self, outcome: Outcome) -> None:
        """Wake the task."""
        if self.answer.done():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)

    def has_left(self) -> bool:
        """Whether the client has hung up."""
        return has_left(self._receive)


class _Direct(Visit):
    """A visit that is answered on its connection."""

    __slots__ = ("_exchange",)

    def __init__(
        self,
        desk: Desk,
        caller: Caller,
        question: Question,
        headers: Mapping[bytes, bytes],
        exchange: Exchange,
    ) -> None:
        super().__init__(desk, caller, question, headers)
        self._exchange = exchange

    def tell(self, outcome: Outcome) -> None:
        """Write the answer."""
        if outcome is None:
            self._exchange.give_up()
        else:
            _reply(self._desk, self._exchange, outcome)

    def has_left(self) -> bool:
        """Whether the client has hung up."""
        return self._exchange.disconnected


def _reply(desk: Desk, exchange: Exchange, outcome: Answer | Exception) -> None:
    trace = current.trace()
    answer = _failed(outcome, trace) if isinstance(outcome, Exception) else outcome
    desk.answers[answer.status] += 1
    exchange.reply(answer.status, b"%brekey-trace: %b\r\n" % (answer.lines, trace), answer.body)


class Poll(Desk):
    """The polls of one event loop."""

    def take(self, exchange: Exchange) -> bool:
        """Answer this request, or begin to, if it is a plain poll; whether it is."""
        question = answers.asked_by(exchange.target)
        if question is None or exchange.method != b"GET":
            return False
        headers = dict(exchange.headers)
        if b"content-length" in headers or b"transfer-encoding" in headers or b"expect" in headers:
            return False
        # It has no body, so it has come to its end.
        exchange.more_body = False
        known = self.bearers.get(headers.get(b"authorization", b""), time.time())
        if known is not None:
            self._let_in(exchange, question, headers, known)
        else:
            self.wakeups.start()
            told = partial(self._let_in, exchange, question, headers)
            self.admission.ask(*_introduction(headers, exchange.client), told)
        return True

    def _let_in(
        self,
        exchange: Exchange,
        question: Question,
        headers: Mapping[bytes, bytes],
        found: Pass | Exception,
    ) -> None:
        if isinstance(found, Exception):
            _reply(self, exchange, found)
        elif found.refusal is not None:
            _reply(self, exchange, _refusal_of(found.refusal))
        else:
            _Direct(self, found.caller, question, headers, exchange).begin()

    async def answer(self, scope: Scope, receive: Receive) -> Answer | None:
        """The answer to one poll, None when nobody is there to hear it. Raises ProtocolError."""
        headers = dict(scope["headers"])
        if scope["method"] != "GET" or b"content-length" in headers or b"transfer-encoding" in headers:
            _refuse_oddities(scope["method"], headers)
        known = self.bearers.get(headers.get(b"authorization", b""), time.time())
        if known is None:
            self.wakeups.start()
            known = await self.admission.admit(*_introduction(headers, scope.get("client")))
        if known.refusal is not None:
            raise _refusal_of(known.refusal)
        visit = _Awaited(self, known.caller, answers.question_of(scope["query_string"]), headers, receive)
        visit.begin()
        return await visit.answer


def _introduction(headers: Mapping[bytes, bytes], client: Client) -> tuple[bytes, str]:
    """Who somebody says to be, and where they call from."""
    forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
    return headers.get(b"authorization", b""), address_of(client[0] if client else "", forwarded)


def _refusal_of(refusal: ProtocolError) -> ProtocolError:
    """Why a verified bearer opens nothing; a new one each time, for whoever raises it leaves marks on it."""
    return ProtocolError(refusal.code, retry_after=refusal.retry_after)


def _refuse_oddities(method: str, headers: Mapping[bytes, bytes]) -> None:
    if method != "GET":
        raise ProtocolError("method_not_allowed")
    if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
        raise ProtocolError("malformed", "a question has no body")


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

    def at_once(self, exchange: Exchange) -> bool:
        """Take on what needs no task, which is most polls; whether it did. Otherwise call it as ASGI does."""
        return current.get().take(exchange)

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
    headers = [*answer.headers, (b"rekey-trace", trace)]
    if answer.body:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


def _failed(error: Exception, trace: bytes) -> Answer:
    if isinstance(error, ProtocolError):
        return answers.refusal(error, trace)
    log.error("poll_failed", trace=trace.decode(), error=type(error).__name__, exc_info=error)
    return answers.refusal(ProtocolError("internal", retry_after=RETRY_S), trace)


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
            sys.setswitchinterval(SWITCH_S)
            current.get().wakeups.start()
            at_stop.append(current.get().held.close)
        else:
            await close()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
