"""A stand-in for Twilio's Messages and Calls on loopback, strict about what its public reference asks for."""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs

SID = "AC" + "0a" * 16
TOKEN = "f" * 32
SENDER = "+15005550006"
E164 = re.compile(r"\+[1-9][0-9]{7,14}")
LANDLINE = re.compile(r"\+86(?!1[3-9])[0-9]+")
REQUIRED = {
    "Messages": (("To", 21604), ("From", 21603), ("Body", 21602)),
    "Calls": (("To", 21201), ("From", 21213), ("Twiml", 21205)),
}


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


@dataclass(slots=True)
class TwilioStandIn:
    """Runs the server; `accepted` holds the form fields of each message taken, `requests` counts them all."""

    accepted: list[dict[str, str]] = field(default_factory=list)
    problems: deque[Problem] = field(default_factory=deque)
    requests: int = 0
    base: str = ""
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        handler = type("Handler", (MessagesHandler,), {"standin": self})
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


class MessagesHandler(BaseHTTPRequestHandler):
    """POST /2010-04-01/Accounts/{sid}/Messages.json, and the same for Calls."""

    standin: ClassVar[TwilioStandIn]

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Judge one request the way the public API does."""
        self.standin.requests += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path not in {f"/2010-04-01/Accounts/{SID}/{kind}.json" for kind in REQUIRED}:
            self.refuse(404, 20404)
        elif (
            self.headers.get("Authorization")
            != "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        ):
            self.refuse(401, 20003)
        elif self.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            self.refuse(400, 20001)
        else:
            fields = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True)
            self.judge({name: values[0] for name, values in fields.items()})

    @property
    def kind(self) -> str:
        """Messages or Calls."""
        return self.path.rpartition("/")[2].removesuffix(".json")

    def judge(self, fields: dict[str, str]) -> None:
        """Fields first, then whatever problem was ordered, then success."""
        for name, code in REQUIRED[self.kind]:
            if not fields.get(name):
                self.refuse(400, code)
                return
        if not E164.fullmatch(fields["To"]):
            self.refuse(400, 21211)
        elif self.kind == "Messages" and LANDLINE.fullmatch(fields["To"]):
            self.refuse(400, 21614)
        elif not re.fullmatch(r"https?://[^\s]+", fields.get("StatusCallback", "https://x")):
            self.refuse(400, 21609)
        elif self.standin.problems:
            self.follow(self.standin.problems.popleft(), fields)
        else:
            self.take(fields)

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
            self.refuse(problem.status, problem.code)

    def take(self, fields: dict[str, str]) -> None:
        """201 with the message as Twilio describes it."""
        self.standin.accepted.append(fields)
        message = {
            "sid": ("SM" if self.kind == "Messages" else "CA") + secrets.token_hex(16),
            "account_sid": SID,
            "to": fields["To"],
            "from": fields["From"],
            "body": fields.get("Body", ""),
            "status": "queued",
            "direction": "outbound-api",
            "num_segments": "1",
            "error_code": None,
            "error_message": None,
            "date_created": "Tue, 24 Nov 2026 10:00:00 +0000",
            "date_updated": "Tue, 24 Nov 2026 10:00:00 +0000",
            "date_sent": None,
            "uri": self.path,
        }
        self.answer(201, json.dumps(message).encode())

    def refuse(self, status: int, code: int | None) -> None:
        """An error document; it repeats the number, as real ones do, so that tests see whether it leaks."""
        problem = {"code": code, "message": "refused for +8613800002046", "status": status}
        self.answer(status, json.dumps(problem).encode())

    def answer(self, status: int, body: bytes) -> None:
        """Send it."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
