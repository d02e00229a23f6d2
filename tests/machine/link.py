"""A line between a simulated terminal and the server, in one process, that loses, doubles and delays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import Client

from terminals.polling import poll
from terminals.protocol import PATH
from terminals.simulator.transport import Answer, Connection, Unreachable, _Raw, _understood
from tests.terminals import asgi


class Fault(StrEnum):
    """What the line does to one request."""

    NONE = "none"
    LOSE_REQUEST = "lose request"
    LOSE_REPLY = "lose reply"
    DOUBLE = "double"
    DELAY = "delay"


@dataclass(frozen=True)
class Request:
    """What was sent."""

    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]


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

    def close(self) -> None:
        """Let the poll go home."""

        async def last() -> None:
            await poll.close()
            await sync_to_async(connections.close_all)()

        self.runner.run(last())
        self.runner.close()


class Line(Connection):
    """The terminal's connection. Faults are taken from `plan`, one a request; none when it is empty."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.plan: list[Fault] = []
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
        fault = self.plan.pop(0) if self.plan else Fault.NONE
        if fault == Fault.LOSE_REQUEST:
            raise Unreachable("lost")
        if fault == Fault.DELAY:
            self.under_way.append(request)
            raise Unreachable("late")
        raw = self.server.serve(request)
        if fault == Fault.DOUBLE:
            raw = self.server.serve(request)
        if fault == Fault.LOSE_REPLY:
            raise Unreachable("reply lost")
        return _understood(raw)

    def arrive(self, index: int) -> None:
        """One of the delayed requests reaches the server now; nobody waits for its answer any more."""
        self.server.serve(self.under_way.pop(index % len(self.under_way)))
