"""HTTP/1.1 for uvicorn, on its own parser: bounded heads, one write an answer, no timer a request.

The stock protocol takes heads of any size, checks every header with two regular expressions, writes head and
body apart and starts and cancels a timer for each request. Here a head that grows too large or too slowly
ends its connection, an answer is one write, and one look around now and then finds who has been idle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import unquote
from weakref import WeakKeyDictionary

import httptools
import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

Message = dict[str, Any]

log = structlog.get_logger(__name__)
HEAD_MAX: Final = 16 * 1024
HEADERS_MAX: Final = 64
# A head has to arrive within this time; a connection without a request stays for `--timeout-keep-alive`.
HEAD_S: Final = 10.0
SWEEP_S: Final = 5.0
BODILESS: Final = frozenset({204, 304})
TELLING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
END: Final = b"\r\n"

# Called once, when the server begins to stop: what is held can still be answered then.
at_stop: Final[list[Callable[[], None]]] = []
_sweeps: WeakKeyDictionary[ServerState, asyncio.TimerHandle] = WeakKeyDictionary()


class BadHead(Exception):
    """More than anybody needs to say before a request."""


class Broken(RuntimeError):
    """The application sent what is no answer."""


class Exchange:
    """One request and its answer, as ASGI sees them."""

    __slots__ = (
        "_bare", "_chunked", "_head", "_news", "_protocol", "_waiter", "body", "client", "disconnected",
        "expects", "flow", "headers", "keep_alive", "method", "more_body", "response_complete",
        "response_started", "scope", "target", "transport",
    )  # fmt: skip

    def __init__(self, protocol: Http, method: bytes, *, keep_alive: bool) -> None:
        self._protocol: Http | None = protocol
        self.method = method
        self.target = protocol.url
        self.headers = protocol.headers
        self.client = protocol.client
        self.scope: Message = {}
        self.transport: asyncio.Transport = protocol.transport
        self.flow: FlowControl = protocol.flow
        self.keep_alive = keep_alive
        self.expects = protocol.expect_100_continue
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self._head = b""
        self._bare = False
        self._chunked = True
        self._news = False
        self._waiter: asyncio.Future[None] | None = None

    # What the protocol beneath calls the event that it sets when something has come in.
    @property
    def message_event(self) -> Exchange:
        """Ourselves; it is only ever `set`."""
        return self

    def set(self) -> None:
        """Something came in, or nobody is there any more."""
        self._news = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def run_asgi(self, app: Any) -> None:
        """Have the application answer; one that fails before it began is answered for."""
        try:
            await app(self.scope, self.receive, self.send)
            self._insist_on_an_answer()
        except Exception as error:
            log.exception("answer_failed", error=type(error).__name__)
            if not self.response_started:
                await self._apologise()
            else:
                self.transport.close()
        except asyncio.CancelledError:
            # The server stops and has waited long enough.
            self.transport.close()
            raise
        finally:
            self._protocol = None

    def _insist_on_an_answer(self) -> None:
        if not (self.response_complete or self.disconnected):
            raise Broken("no whole answer")

    async def _apologise(self) -> None:
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body"})

    async def receive(self) -> Message:
        """The next part of the request, or that the other side has left."""
        if self.expects and not self.transport.is_closing():
            self.expects = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self._news or self.disconnected or self.response_complete):
            self.flow.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        """Take a part of the answer; the head waits for the first part of the body."""
        if self.disconnected:
            return
        if self.flow.write_paused:
            await self.flow.drain()
        if message["type"] == "http.response.start" and not self.response_started:
            self.response_started = True
            self.expects = False
            self._head = self._head_of(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise Broken(f"{message['type']} does not come next")

    def reply(self, status: int, lines: bytes, body: bytes) -> None:
        """Answer at once and wholly; `lines` are headers as they travel, none of them about the length."""
        protocol = cast("Http", self._protocol)
        self._protocol = None
        if self.disconnected:
            return
        self.response_started = True
        parts = [STATUS_LINE[status], protocol.common_head(), lines]
        if body:
            parts.append(b"content-length: %d\r\n" % len(body))
        if not self.keep_alive or self.more_body:
            self.keep_alive = False
            parts.append(b"connection: close\r\n")
        parts += (END, body)
        self.transport.write(b"".join(parts))
        self._finish(protocol)

    def give_up(self) -> None:
        """Nobody is there to hear an answer."""
        self._protocol = None

    def _head_of(self, status: int, headers: Any) -> bytes:
        protocol = cast("Http", self._protocol)
        if self.more_body:
            # Nobody will read the rest of this request, so nothing can follow it either.
            self.keep_alive = False
        lines = [STATUS_LINE[status], protocol.common_head()]
        self._bare = status in BODILESS or self.method == b"HEAD"
        sized = self._bare
        count = len(END) - 1 + lines[1].count(b"\n")
        for name, value in headers:
            lines += (name, b": ", value, END)
            count += 1
            if name.lower() in TELLING:
                sized = self._note(name.lower(), value) or sized
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
            count += 1
        self._chunked = not sized
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
            count += 1
        head = b"".join(lines)
        if head.count(b"\n") != count or head.count(b"\r") != count:
            raise Broken("a header with a line break in it")
        return head + END

    def _note(self, name: bytes, value: bytes) -> bool:
        """Read a header that says where the answer ends; whether it tells the length."""
        if name == b"connection" and b"close" in value.lower():
            self.keep_alive = False
        return name == b"content-length"

    def _write(self, body: bytes, *, more: bool) -> None:
        if self._bare:
            body = b""
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        head, self._head = self._head, b""
        if head or body:
            self.transport.write(head + body)
        if not more:
            self._finish(self._protocol)

    def _finish(self, protocol: Http | None) -> None:
        """The answer is out."""
        self.response_complete = True
        self.set()
        if not self.keep_alive:
            self.transport.close()
        if protocol is not None:
            protocol.on_response_complete()


class Http(HttpToolsProtocol):
    """A connection."""

    _head_of_second: tuple[object, bytes] = ((), b"")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come; from now on the time of the first request runs."""
        super().connection_made(cast("asyncio.Transport", transport))
        # Not in ASGI: an application may answer without a task of its own what it can.
        self._at_once: Callable[[Exchange], bool] | None = getattr(self.app, "at_once", None)
        self._head_size = 0
        self._in_head = True
        self._since = self.loop.time()
        if self.server_state not in _sweeps:
            _sweeps[self.server_state] = self.loop.call_later(SWEEP_S, _sweep, self.server_state, self.loop)

    def common_head(self) -> bytes:
        """What stands in every answer, such as `Date`, as it travels; made anew when uvicorn changes it."""
        headers = self.server_state.default_headers
        made_of, joined = Http._head_of_second
        if made_of is not headers:
            joined = b"".join(b"%b: %b\r\n" % header for header in headers)
            Http._head_of_second = (headers, joined)
        return joined

    def data_received(self, data: bytes) -> None:
        """Bytes came; a head may be of a reasonable size only."""
        super().data_received(data)
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > HEAD_MAX and not self.transport.is_closing():
                self.send_400_response("Request head too large.")

    def on_message_begin(self) -> None:
        """A request begins; its head has some time to arrive."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._in_head = True
        self._since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Another header. Raises BadHead, which ends the connection."""
        if len(self.headers) >= HEADERS_MAX:
            raise BadHead
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole: hand the request to the application, or line it up behind the one before."""
        self._in_head = False
        self._head_size = 0
        parser, before = self.parser, self.cycle
        version = parser.get_http_version()
        keep_alive = version != "1.0" and parser.should_keep_alive()
        exchange: Any = Exchange(self, parser.get_method(), keep_alive=keep_alive)
        self.cycle = exchange
        first = before is None or before.response_complete
        if first and self._at_once is not None and self._at_once(exchange):
            return
        exchange.scope = self._scope(exchange, version)
        if first:
            self._start_asgi_task(exchange, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))

    def _scope(self, exchange: Exchange, version: str) -> Message:
        """The request as ASGI describes it. Raises what ends the connection."""
        url = httptools.parse_url(exchange.target)
        path = url.path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": exchange.method.decode("ascii"),
            "root_path": self.root_path,
            "path": self.root_path + (unquote(path) if "%" in path else path),
            "raw_path": self.root_path.encode("ascii") + url.path,
            "query_string": url.query or b"",
            "headers": exchange.headers,
            "state": self.app_state.copy(),
        }

    def on_response_complete(self) -> None:
        """The answer is out: the next request in line, or the next that comes."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._since = self.loop.time()
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def shutdown(self) -> None:
        """The server stops: finish what is under way, and nothing after it."""
        while at_stop:
            at_stop.pop()()
        super().shutdown()

    def overstays(self, now: float) -> bool:
        """Whether this connection has been idle, or busy with a head, for too long."""
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        allowed = HEAD_S if self._in_head and self.headers is not None else self.timeout_keep_alive
        return now - self._since > allowed


def _sweep(state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
    """Hang up on those who overstay; one timer for all connections."""
    now = loop.time()
    for connection in list(state.connections):
        if isinstance(connection, Http) and connection.overstays(now):
            connection.transport.close()
    _sweeps[state] = loop.call_later(SWEEP_S, _sweep, state, loop)
