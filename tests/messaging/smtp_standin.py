"""A mail server on loopback that takes one mail at a time, and refuses what it is told to refuse."""

from __future__ import annotations

import socketserver
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import ClassVar, Self


@dataclass(slots=True)
class SmtpStandIn:
    """`mails` holds what was taken; `answers` what to say instead, by the first word of a command."""

    mails: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    silent_s: float = 0.0
    port: int = 0
    _server: socketserver.ThreadingTCPServer | None = None

    def __enter__(self) -> Self:
        handler = type("Session", (Session,), {"standin": self})
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()


class Session(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as one mail needs."""

    standin: ClassVar[SmtpStandIn]

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        time.sleep(self.standin.silent_s)
        self.say("220 standin")
        while line := self.rfile.readline():
            word = line.decode().split(":")[0].split()[0].upper()
            if word == "QUIT":
                self.say("221 bye")
                return
            if word in self.standin.answers:
                self.say(self.standin.answers[word])
            elif word == "DATA":
                self.say("354 go on")
                self.take()
            else:
                self.say("250 ok")

    def take(self) -> None:
        lines = iter(self.rfile.readline, b".\r\n")
        self.standin.mails.append(b"".join(lines).decode())
        self.say("250 taken")
