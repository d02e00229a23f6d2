"""The kit's server: the doors put together, and real HTTP around them."""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from terminals import jose
from terminals.conformance.doors import Doors
from terminals.conformance.memory import Reply, Request, problem
from terminals.protocol import BODY_MAX, PATH, ProtocolError

_OPEN: Final = ("enroll", "keysets")
_BODY_SHOWN: Final = BODY_MAX + 1
_FAILED: Final = 500
_LINE_MOST: Final = 8192


class Server(Doors):
    """A whole server of the protocol for one terminal, in memory."""

    def answer(self, request: Request) -> Reply:
        """Answer one request, with the headers that every answer has."""
        if self.door is None or request.path != "commands":
            return self.answered(request)
        number, status = self.door.knock(), _FAILED
        try:
            reply = self.answered(request)
            status = reply.status
        finally:
            self.door.leave(number, status)
        return reply

    def answered(self, request: Request) -> Reply:
        """The answer, if it is this request's turn."""
        self.requests.append(request)
        trace = secrets.token_hex(8)
        try:
            reply = self.instead(request) or self.routed(request)
        except ProtocolError as error:
            reply = problem(error.code, trace, retry_after=error.retry_after, server_time=error.server_time)
        except jose.JoseError:
            reply = problem("malformed", trace)
        return Reply(reply.status, reply.body, {**self.usual(trace), **reply.headers})

    def instead(self, request: Request) -> Reply | None:
        """What was put in between for this path."""
        waiting = self.interrupts.get(request.path)
        if waiting:
            return waiting.popleft()
        return self.closed.get(request.path) or self.closed.get(request.path.partition("/")[0])

    def usual(self, trace: str) -> dict[str, str]:
        """Headers of every answer."""
        return {"Cache-Control": "no-store", "Rekey-Trace": trace}

    def routed(self, request: Request) -> Reply:
        """The door for this path. Raises ProtocolError."""
        first, _, rest = request.path.partition("/")
        if request.path == "enroll":
            return self.by_method(request, {"POST": self.enroll})
        if first == "keysets" and rest:
            return self.by_method(request, {"GET": lambda _: self.get_keyset(rest)})
        doors = self.doors(first, rest)
        if not doors:
            raise ProtocolError("not_found")
        confirmed = self.authenticate(request)
        if not confirmed and request.path != "enroll/confirm":
            raise ProtocolError("unconfirmed", retry_after=5)
        return self.by_method(request, doors)

    def doors(self, first: str, rest: str) -> dict[str, Callable[[Request], Reply]]:
        """By method, what a path behind the bearer does; nothing if there is no such path."""
        named: dict[str, dict[str, Callable[[Request], Reply]]] = {
            "enroll/confirm": {"POST": self.confirm},
            "keys/roll": {"POST": self.roll},
            "commands": {"GET": self.commands},
            "receipts": {"POST": self.take_receipts},
            "inventory": {"PUT": self.put_inventory},
            "recoveries": {"POST": self.start_recovery},
        }
        if first == "recoveries" and rest:
            return {"GET": lambda _: self.get_recovery(rest)}
        return named.get(f"{first}/{rest}" if rest else first, {})

    def by_method(self, request: Request, doors: dict[str, Callable[[Request], Reply]]) -> Reply:
        """The door for this method."""
        if request.method not in doors:
            raise ProtocolError("method_not_allowed")
        return doors[request.method](request)


Kind = TypeVar("Kind", bound=Server)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    kit: Server

    def setup(self) -> None:
        """Each connection is counted."""
        self.kit.connections += 1
        super().setup()

    def _body(self) -> bytes:
        """The body, whole or as far as it may be; what is left unread ends the connection."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, _BODY_SHOWN))
        self.close_connection = self.close_connection or length > len(body)
        return body

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(_LINE_MOST).partition(b";")[0], 16):
            body += self.rfile.read(min(size, _BODY_SHOWN))
            self.rfile.readline(_LINE_MOST)
            if len(body) >= _BODY_SHOWN:
                self.close_connection = True
                return body
        while self.rfile.readline(_LINE_MOST).strip():
            pass
        return body

    def _serve(self) -> None:
        body = self._body()
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        below = path.removeprefix(f"{PATH}/")
        asked = Request(self.command, below, dict(parse_qsl(query)), headers, body, time.monotonic())
        reply = self.kit.answer(asked)
        if below in self.kit.lose:
            self.kit.lose.remove(below)
            self.close_connection = True
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        compact = isinstance(reply.body, str)
        raw = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
        raw = b"" if reply.body is None else raw
        usual = {"Content-Type": "application/jose" if compact else "application/json"}
        self.send_response(reply.status)
        for name, value in {**usual, **reply.headers}.items():
            self.send_header(name, value)
        if reply.status not in (204, 304):
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

    def log_message(self, *_args: Any) -> None:
        """Be quiet."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A line that drops is nothing to tell; for the rest one sentence is enough."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            sys.stderr.write(f"A request that could not be answered: {type(error).__name__}: {error}\n")


@contextmanager
def serving(server: Kind, host: str = "127.0.0.1", port: int = 0, origin: str = "") -> Iterator[Kind]:
    """Serve until the block ends; `origin` is what terminals call us if that is not the address itself."""
    listener = _Listener((host, port), type("Handler", (_Handler,), {"kit": server}))
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    server.origin = origin or f"http://{host}:{listener.server_port}"
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
