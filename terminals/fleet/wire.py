"""A kept-alive HTTP/1.1 connection in little memory: one question on the way, one answer back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

from terminals.protocol import PATH

_ANSWER_MAX: Final = 64 * 1024
_HEAD_END: Final = b"\r\n\r\n"


class Unanswered(ConnectionError):
    """No answer that makes sense: no network, no server, or something else in between."""


class Answer(NamedTuple):
    """Status, body, and the headers that a terminal obeys."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Line(asyncio.Protocol):
    """One connection. asyncio calls the first three methods."""

    __slots__ = ("_data", "_transport", "_waiting")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A piece of an answer."""
        self._data += data
        try:
            answer = read(self._data)
        except ValueError:
            self.close()
            return
        if answer is not None and self._waiting is not None:
            self._data = b""
            waiting, self._waiting = self._waiting, None
            if not waiting.done():
                waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Unanswered("the line broke"))
        self._waiting = None

    @property
    def alive(self) -> bool:
        """Whether one can still ask on it."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a request; the answer, or Unanswered. One at a time."""
        if self._transport is None:
            raise Unanswered("the line is down")
        self._data = b""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


def read(data: bytes) -> Answer | None:
    """The answer that these bytes are; None while it is not complete. ValueError for what is none."""
    end = data.find(_HEAD_END)
    if end < 0:
        if len(data) > _ANSWER_MAX:
            raise ValueError("no end of the head")
        return None
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status, length = int(first[9:12]), int(headers.get("content-length", "0"))
    if "transfer-encoding" in headers or not 0 <= length <= _ANSWER_MAX:
        raise ValueError("an answer of unknown or too great length")
    body = data[end + 4 :]
    return Answer(status, body, headers) if len(body) >= length else None


class Server:
    """Where a fleet calls: connections and requests to one origin."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self.origin = origin
        self._host = parts.hostname or "127.0.0.1"
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._netloc = parts.netloc

    async def connect(self, patience_s: float) -> Line:
        """A new connection. Raises Unanswered."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(patience_s):
                return (await loop.create_connection(Line, self._host, self._port, ssl=self._tls))[1]
        except (OSError, TimeoutError) as error:
            raise Unanswered(type(error).__name__) from None

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
        """The bytes of a request below `/terminal/v1/`."""
        lines = [f"{method} {PATH}/{path} HTTP/1.1", f"Host: {self._netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
