"""A line between a simulated terminal and the server, in one process, that loses, doubles and delays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import Client

from terminals.polling import poll
from terminals.protocol import PATH
from terminals.simulator.transport import Answer, Connection, Unreachable, _Raw, _understood
from tests.machine.chance import chance
from tests.terminals import asgi


class Fault(StrEnum):
    """What the line does to one request."""

    NONE = "none"
    LOSE_REQUEST = "lose request"
    LOSE_REPLY = "lose reply"
    DOUBLE = "double"
    DELAY = "delay"


# One fault a request, in order; or one for the first request of a kind.
Plan = list[Fault] | dict[str, Fault]
KINDS = ("commands", "receipts", "keys/roll", "enroll", "enroll/confirm", "inventory", "keysets")


@dataclass(frozen=True)
class Request:
    """What was sent."""

    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]

    @property
    def kind(self) -> str:
        """One of KINDS."""
        path = self.path.partition("?")[0]
        return "keysets" if path.startswith("keysets/") else path


class Answering(Protocol):
    """A server, as the line sees it."""

    statuses: list[int]

    def serve(self, request: Request) -> _Raw:
        """One request, answered."""

    def write_notes(self) -> None:
        """Put down what it has in mind, if it is time."""

    def hear(self) -> None:
        """Take in what it was told until now."""

    def close(self) -> None:
        """Go home."""


class Server:
    """The doors of the server without sockets: Django's for most, the poll's own for the poll."""

    def __init__(self) -> None:
        # Threads of the loop end with it, so none of them may keep a database connection.
        connection.settings_dict["CONN_MAX_AGE"] = 0
        self.django = Client(raise_request_exception=False)
        self.runner = asyncio.Runner()
        self.statuses: list[int] = []

    def serve(self, request: Request) -> _Raw:
        """One request, answered."""
        sent = time.time()
        if request.path.startswith("commands"):
            status, headers, body = self._poll(request)
        else:
            status, headers, body = self._page(request)
        self.statuses.append(status)
        return _Raw(status, headers, body, sent, time.time())

    def _poll(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        query = request.path.partition("?")[2]
        given: dict[str, Any] = {
            name.lower().replace("-", "_"): value for name, value in request.headers.items()
        }
        answer = self.runner.run(asgi.ask(None, query.replace("wait=25", "wait=0"), **given))
        return answer.status, answer.headers, answer.body

    def _page(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        headers = dict(request.headers)
        content = headers.pop("Content-Type", "application/json")
        answer: Any = self.django.generic(
            request.method,
            f"{PATH}/{request.path}",
            request.body or b"",
            content_type=content,
            headers=headers,
        )
        return answer.status_code, {name.lower(): value for name, value in answer.items()}, answer.content

    def write_notes(self) -> None:
        """It does so by itself."""

    def hear(self) -> None:
        """It listens all the time."""

    def close(self) -> None:
        """Let the poll go home."""

        async def last() -> None:
            await poll.close()
            await sync_to_async(connections.close_all)()

        self.runner.run(last())
        self.runner.close()


class Line(Connection):
    """The terminal's connection. Faults are taken from `plan`; none when nothing is left of it.

    `watch` sees each request and its answer once the server has given it, whoever still waits for it.
    """

    def __init__(self, server: Answering, watch: Callable[[Request, _Raw], None]) -> None:
        super().__init__()
        self.server = server
        self.watch = watch
        self.plan: Plan = []
        self.under_way: list[Request] = []

    def exchange(
        self,
        origin: str,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        wait: float = 0,
        repeatable: bool = True,
    ) -> Answer:
        """One request under the next fault; raises as a real line does."""
        request = Request(method, path, body, dict(headers or {}))
        fault = self._fault(request)
        if fault == Fault.LOSE_REQUEST:
            raise Unreachable("lost")
        if fault == Fault.DELAY:
            self.under_way.append(request)
            raise Unreachable("late")
        raw = self._serve(request)
        if fault == Fault.DOUBLE:
            raw = self._serve(request)
        if fault == Fault.LOSE_REPLY:
            raise Unreachable("reply lost")
        return _understood(raw)

    def arrive(self, index: int) -> None:
        """One of the delayed requests reaches the server now; nobody waits for its answer any more."""
        self._serve(self.under_way.pop(index % len(self.under_way)))

    def _fault(self, request: Request) -> Fault:
        if isinstance(self.plan, dict):
            return self.plan.pop(request.kind, Fault.NONE)
        return self.plan.pop(0) if self.plan else Fault.NONE

    def _serve(self, request: Request) -> _Raw:
        chance.pass_time()
        raw = self.server.serve(request)
        self.watch(request, raw)
        return raw
