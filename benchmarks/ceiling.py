"""The ceiling: a bare ASGI callable that does one pipelined Redis GET and answers 204, and nothing else.

Nothing that speaks HTTP and Redis from Python under the same server can be much faster, so the poll is judged
by the share of this it reaches. All GETs of one turn of the event loop leave in one write.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import hiredis

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


GET = b"*2\r\n$3\r\nGET\r\n$7\r\nceiling\r\n"


class Pipeline(asyncio.Protocol):
    """One connection to Redis that answers in the order it was asked."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._out: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand each answer to whoever asked."""
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            self._waiting.popleft().set_result(answer)

    def ask(self, *words: str) -> asyncio.Future[Any]:
        """The answer to any command."""
        packed = [f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)]
        return self.send("".join(packed).encode("ascii"))

    def send(self, packed: bytes) -> asyncio.Future[Any]:
        """The answer to a command as it travels."""
        future = self._loop.create_future()
        self._waiting.append(future)
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packed)
        return future

    def _flush(self) -> None:
        self._transport.write(b"".join(self._out))
        self._out.clear()

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


async def connect(url: str) -> Pipeline:
    """A pipeline to the server of this URL, over TCP or a Unix socket."""
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    if parts.scheme == "unix":
        return (await loop.create_unix_connection(Pipeline, parts.path))[1]
    return (await loop.create_connection(Pipeline, parts.hostname or "127.0.0.1", parts.port or 6379))[1]


class _Ceiling:
    def __init__(self) -> None:
        self.redis: Pipeline | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        assert self.redis is not None
        await self.redis.send(GET)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.redis = await connect(os.environ["REDIS_URL"])
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.redis.close()
        await send({"type": "lifespan.shutdown.complete"})


application = _Ceiling()
