"""What stand-ins for gateways share: a server on loopback that keeps what it took and misbehaves to order."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self


@dataclass(slots=True)
class Problem:
    """An answer other than success, as the stand-in is told to give it once."""

    status: int = 400
    code: int | None = None
    wait_s: float = 0.0
    raw: bytes | None = None
    accept: bool = False
    cut: bool = False


class QuietServer(ThreadingHTTPServer):
    """Clients that hang up are what some tests are about."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing."""


@dataclass
class StandIn:
    """Runs the server; `accepted` holds the fields of each message taken, `requests` counts them all.

    `numbers` are what it called those that it said it took.
    """

    accepted: list[dict[str, str]] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    problems: deque[Problem] = field(default_factory=deque)
    requests: int = 0
    base: str = ""
    _server: ThreadingHTTPServer | None = None

    handler: ClassVar[type[Handler]]

    def __enter__(self) -> Self:
        handler = type("Handler", (self.handler,), {"standin": self})
        self._server = QuietServer(("127.0.0.1", 0), handler)
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers with JSON; what is judged, and in whose words it is refused, its heirs say."""

    standin: ClassVar[Any]

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def fail(self, problem: Problem) -> None:
        """Refuse as this gateway does."""
        raise NotImplementedError

    def follow(self, problem: Problem, fields: dict[str, str]) -> None:
        """Misbehave as ordered."""
        if problem.accept:
            self.standin.accepted.append(fields)
        time.sleep(problem.wait_s)
        if problem.cut:
            self.connection.close()
        elif problem.raw is not None:
            self.answer(problem.status, problem.raw)
        else:
            self.fail(problem)

    def answer(self, status: int, body: bytes) -> None:
        """Send it."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
