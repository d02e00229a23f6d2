"""A terminal on the other side of the poll: asks in this process as our HTTP server does, without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db import connection, connections

from portal.http import Exchange
from terminals.polling import poll
from tests.cast import PairedTill

T = TypeVar("T")


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def tokens(self) -> list[str]:
        """The tokens in a 200."""
        tokens: list[str] = self.json()["tokens"]
        return tokens


class Asked:
    """What the poll sees of a request that it may answer at once (portal.http.Exchange)."""

    def __init__(
        self, method: str, query: str, headers: list[tuple[bytes, bytes]], client: tuple[str, int]
    ) -> None:
        self.method = method.encode()
        self.target = b"/terminal/v1/commands" + (f"?{query}".encode() if query else b"")
        self.headers = headers
        self.client = client
        self.more_body = True
        self.disconnected = False
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def reply(self, status: int, lines: bytes, body: bytes) -> None:
        """The answer."""
        assert not self.more_body
        pairs = (line.split(": ", 1) for line in lines.decode().split("\r\n")[:-1])
        if not self.answer.done():
            self.answer.set_result(Answer(status, dict(pairs), body))

    def give_up(self) -> None:
        """There is none."""
        self.answer.cancel()


async def ask(
    till: PairedTill | None,
    query: str = "",
    *,
    method: str = "GET",
    bearer: str = "",
    address: str = "192.0.2.1",
    stock: bool = False,
    **headers: str,
) -> Answer:
    """One request to the poll; underscores in header names become hyphens. `stock`: by a server not ours."""
    if till is not None:
        headers.setdefault("authorization", f"Bearer {bearer or till.bearer()}")
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    asked = Asked(method, query, raw, (address, 50_000))
    if not stock and poll.application.at_once(cast("Exchange", asked)):
        return await asked.answer
    scope = {
        "type": "http", "method": method, "path": "/terminal/v1/commands",
        "query_string": query.encode(), "headers": raw, "client": (address, 50_000),
    }  # fmt: skip
    answer, sent = Answer(), False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    await poll.application(scope, receive, send)
    return answer


def run(scene: Callable[[], Awaitable[T]]) -> T:
    """Play a scene in an event loop of its own and let the poll go home at its end."""
    # Its threads end with the loop, so none of them may keep a database connection.
    connection.settings_dict["CONN_MAX_AGE"] = 0

    async def whole() -> T:
        try:
            return await scene()
        finally:
            await poll.close()
            await sync_to_async(connections.close_all)()

    return asyncio.run(whole())


def poll_once(till: PairedTill | None, query: str = "", **more: Any) -> Answer:
    """One poll, answered."""
    return run(lambda: ask(till, query, **more))
