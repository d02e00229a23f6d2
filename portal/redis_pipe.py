"""One connection to Redis for one event loop: whatever is asked in a turn of the loop leaves in one write.

In a busy poll process a call of the kernel costs more than everything else in a request. So questions are
collected until the loop has run everything that was ready, and answers, which come in the order of the
questions, are handed to callbacks; no task, timer or lock belongs to a single question.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

PAUSE_S = 0.5
Receiver = Callable[[Any], object]


class Unreachable(ConnectionError):
    """Redis is not there, did not answer in time, or hung up."""


class Refused(Exception):
    """Redis answered with an error."""


def pack(*words: str | bytes | int) -> bytes:
    """A command as it travels; worth keeping where the same one is sent often."""
    return bytes(hiredis.pack_command(cast("Any", words)))


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis listens and how to introduce oneself there."""

    path: str
    host: str
    port: int
    tls: ssl.SSLContext | None
    greeting: tuple[bytes, ...]


def address_of(url: str) -> Address:
    """Read `redis://`, `rediss://` (TLS, `?ssl_ca_certs=`) or `unix://`, with name, password and database."""
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    over_socket = parts.scheme == "unix"
    database = options.get("db", "" if over_socket else parts.path.strip("/")) or "0"
    greeting = []
    if parts.password:
        names = [unquote(parts.username)] if parts.username else []
        greeting.append(pack("AUTH", *names, unquote(parts.password)))
    if database != "0":
        greeting.append(pack("SELECT", database))
    tls = ssl.create_default_context(cafile=options.get("ssl_ca_certs")) if parts.scheme == "rediss" else None
    path = parts.path if over_socket else ""
    return Address(path, parts.hostname or "localhost", parts.port or 6379, tls, tuple(greeting))


class Pipe:
    """Connects when first asked, and again after a loss; nothing waits longer than twice `timeout_s`.

    What was under way when a connection is lost fails, for nobody knows whether it was carried out. After a
    failure whoever asks within half a second is told so at once.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._address = address_of(url)
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._line: _Line | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._unsent: list[bytes] = []
        self._receivers: deque[Receiver] = deque()
        self._rests_until = 0.0
        self._answers_seen = -1
        self.answers = 0
        self.writes = 0
        self.losses = 0

    def send(self, packed: bytes, receiver: Receiver) -> None:
        """Have `receiver` called with the reply, or with the exception that took its place."""
        if not self._unsent:
            self._loop.call_soon(self.flush)
        self._unsent.append(packed)
        self._receivers.append(receiver)

    def send_all(self, packed: Sequence[bytes], receiver: Receiver) -> None:
        """Have `receiver` called with the reply to each of these, in turn."""
        if packed and not self._unsent:
            self._loop.call_soon(self.flush)
        self._unsent += packed
        self._receivers.extend([receiver] * len(packed))

    def ask(self, packed: bytes) -> asyncio.Future[Any]:
        """The reply. Raises Unreachable or Refused."""
        future = self._loop.create_future()
        self.send(packed, partial(_settle, future))
        return future

    def flush(self) -> None:
        """Write what was collected now, not at the end of the turn."""
        if not self._unsent:
            return
        if self._line is not None:
            self._line.transport.write(b"".join(self._unsent))
            self._unsent.clear()
            self.writes += 1
            self._watch()
        elif self._loop.time() < self._rests_until:
            self._fail(Unreachable("Redis failed a moment ago"))
        elif self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                self._line = await self._open()
        except (OSError, TimeoutError) as error:
            self._lose(error)
            return
        finally:
            self._connecting = None
        for packed in reversed(self._address.greeting):
            self._unsent.insert(0, packed)
            self._receivers.appendleft(self._greeted)
        self.flush()

    async def _open(self) -> _Line:
        make, where = partial(_Line, self), self._address
        if where.path:
            return (await self._loop.create_unix_connection(make, where.path))[1]
        return (await self._loop.create_connection(make, where.host, where.port, ssl=where.tls))[1]

    def _greeted(self, reply: object) -> None:
        if isinstance(reply, Refused):
            self._lose(reply)

    def _watch(self) -> None:
        """One timer at a time, however much is asked: a loss is when nothing at all came for so long."""
        if self._answers_seen < 0:
            self._answers_seen = self.answers
            self._loop.call_later(self._timeout_s, self._look)

    def _look(self) -> None:
        silent = self.answers == self._answers_seen
        self._answers_seen = -1
        if not self._receivers or self._line is None:
            return
        if silent:
            self._lose(TimeoutError())
        else:
            self._watch()

    def _lose(self, error: Exception) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.transport.abort()
        self._rests_until = self._loop.time() + PAUSE_S
        self.losses += 1
        self._fail(Unreachable(type(error).__name__))

    def _fail(self, failure: Unreachable) -> None:
        receivers, self._receivers = self._receivers, deque()
        self._unsent.clear()
        for receiver in receivers:
            receiver(failure)

    async def close(self) -> None:
        """Hang up; what is under way fails."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        self._lose(ConnectionAbortedError())


def _settle(future: asyncio.Future[Any], reply: Any) -> None:
    if future.done():
        return
    if isinstance(reply, Unreachable | Refused):
        future.set_exception(reply)
        future.exception()  # whoever gave up waiting must not leave an unread failure behind
    else:
        future.set_result(reply)


class _Line(asyncio.Protocol):
    """One connection: bytes in, replies out to whoever is next."""

    transport: asyncio.Transport

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._reader = hiredis.Reader(replyError=Refused)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        pipe, next_reply = self._pipe, self._reader.gets
        if pipe._line is not self:
            return
        receivers = pipe._receivers
        self._reader.feed(data)
        try:
            while (reply := next_reply()) is not False:
                pipe.answers += 1
                receivers.popleft()(reply)
        except (hiredis.ProtocolError, IndexError) as error:
            # What is not an answer to a question is not a conversation any more.
            pipe._lose(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._pipe._line is self:
            self._pipe._lose(exc or ConnectionResetError())
