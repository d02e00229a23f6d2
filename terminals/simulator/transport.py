"""One HTTP connection to the server that is kept open, with a time limit and a size limit; and the clock."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from terminals.protocol import PATH, ProtocolError, strict_json

_ANSWER_MAX: Final = 64 * 1024
_TIMEOUT: Final = 10.0
# A sample of the server's time is worth nothing if it travelled longer, in seconds.
_ROUND_TRIP_MAX: Final = 10.0
_GONE: Final = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)


class Unreachable(Exception):
    """No answer that makes sense: no network, no server, or something else in between."""


class Problem(Exception):
    """The server answered with an error; `code` is empty when it said none.

    `server_time` is None as well when the sample is not to be believed; `asked_at` is half way of the round
    trip by our own clock (Unix seconds).
    """

    def __init__(
        self,
        status: int,
        code: str,
        retry_after: int | None,
        server_time: int | None,
        asked_at: float | None = None,
    ) -> None:
        super().__init__(f"{status} {code}".strip())
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.server_time = server_time
        self.asked_at = asked_at


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; `body` is {} when there is none."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Raw:
    status: int
    headers: Mapping[str, str]
    body: bytes
    sent: float
    received: float


class Connection:
    """At most one open connection, reused for everything that goes to the same origin."""

    def __init__(self) -> None:
        self.opened = 0
        self._origin = ""
        self._http: http.client.HTTPConnection | None = None

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
        """Send one request below `/terminal/v1/`; raises Unreachable or Problem.

        A server may close an idle connection just when we ask; what can be `repeatable` is then asked once
        more, and for all else a connection is opened anew.
        """
        reused = self._http is not None and self._origin == origin
        if reused and not repeatable:
            self.close()
            reused = False
        request = (method, f"{PATH}/{path}", body, dict(headers or {}))
        try:
            raw = self._send(origin, request, _TIMEOUT + wait)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not (reused and isinstance(error, _GONE)):
                raise Unreachable(type(error).__name__) from None
            raw = self._once_more(origin, request, _TIMEOUT + wait)
        return _understood(raw)

    def close(self) -> None:
        """Hang up; the next request opens a connection again."""
        if self._http is not None:
            self._http.close()
        self._http = None

    def __del__(self) -> None:
        self.close()

    def _once_more(self, origin: str, request: tuple[Any, ...], timeout: float) -> _Raw:
        try:
            return self._send(origin, request, timeout)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(type(error).__name__) from None

    def _send(self, origin: str, request: tuple[Any, ...], timeout: float) -> _Raw:
        line = self._line(origin, timeout)
        sent = time.time()
        line.request(*request)
        response = line.getresponse()
        body = response.read(_ANSWER_MAX + 1)
        received = time.time()
        if len(body) > _ANSWER_MAX:
            self.close()
            raise Unreachable("answer too large")
        if response.will_close:
            self.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return _Raw(response.status, headers, body, sent, received)

    def _line(self, origin: str, timeout: float) -> http.client.HTTPConnection:
        if self._http is None or self._origin != origin:
            self.close()
            parts = urlsplit(origin)
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            self._http, self._origin = kind(parts.netloc, timeout=timeout), origin
            self.opened += 1
        self._http.timeout = timeout
        if self._http.sock is not None:
            self._http.sock.settimeout(timeout)
        return self._http


def _understood(raw: _Raw) -> Answer:
    content = raw.headers.get("content-type", "").partition(";")[0]
    body: dict[str, Any] = {}
    if raw.body and content in ("application/json", "application/problem+json"):
        try:
            body = strict_json(raw.body)
        except ProtocolError:
            raise Unreachable("answer is not strict JSON") from None
    if raw.status in (200, 201, 204, 304):
        return Answer(raw.status, raw.headers, body, raw.body.decode("utf-8", "replace"))
    retry_after = raw.headers.get("retry-after", "")
    raise Problem(
        raw.status,
        str(body.get("code", "")),
        int(retry_after) if retry_after.isascii() and retry_after.isdigit() else None,
        _believed_time(body.get("server_time"), raw),
        (raw.sent + raw.received) / 2,
    )


def _believed_time(value: object, raw: _Raw) -> int | None:
    """The server's time, unless the answer came from a cache or took too long to be about now."""
    if type(value) is not int or "age" in raw.headers or raw.received - raw.sent > _ROUND_TRIP_MAX:
        return None
    return value


class Clock:
    """The clock of the machine and how far it is off; the offset is kept in memory and never set."""

    def __init__(self, raw: Callable[[], float] = time.time) -> None:
        self.raw = raw
        self.offset = 0.0

    def __call__(self) -> float:
        return self.raw() + self.offset

    def learn(self, server_time: int, at: float | None = None) -> None:
        """Take the server's word for the time, after our signature was accepted.

        `at` is what our own clock showed half way of the round trip.
        """
        self.offset = server_time - (self.raw() if at is None else at)

    def forget(self) -> None:
        """Memory was lost: only the machine's own clock is left."""
        self.offset = 0.0
