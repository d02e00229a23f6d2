"""One HTTP exchange with the server, with a time limit and a size limit."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from terminals.protocol import PATH, ProtocolError, strict_json

_ANSWER_MAX: Final = 64 * 1024
_TIMEOUT: Final = 10.0


class Unreachable(Exception):
    """No answer that makes sense: no network, no server, or something else in between."""


class Problem(Exception):
    """The server answered with an error; `code` is empty when it said none."""

    def __init__(self, status: int, code: str, retry_after: int | None, server_time: int | None) -> None:
        super().__init__(f"{status} {code}".strip())
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.server_time = server_time


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; `body` is {} when there is none."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any] = field(default_factory=dict)
    text: str = ""


def exchange(
    origin: str,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    wait: float = 0,
) -> Answer:
    """Send one request below `/terminal/v1/`; raises Unreachable or Problem."""
    parts = urlsplit(origin)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_TIMEOUT + wait)
    try:
        connection.request(method, f"{PATH}/{path}", body, dict(headers or {}))
        response = connection.getresponse()
        raw = response.read(_ANSWER_MAX + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(type(error).__name__) from None
    finally:
        connection.close()
    if len(raw) > _ANSWER_MAX:
        raise Unreachable("answer too large")
    return _understood(response.status, {name.lower(): value for name, value in response.getheaders()}, raw)


def _understood(status: int, headers: Mapping[str, str], raw: bytes) -> Answer:
    content = headers.get("content-type", "").partition(";")[0]
    body: dict[str, Any] = {}
    if raw and content in ("application/json", "application/problem+json"):
        try:
            body = strict_json(raw)
        except ProtocolError:
            raise Unreachable("answer is not strict JSON") from None
    if status in (200, 201, 204, 304):
        return Answer(status, headers, body, raw.decode("utf-8", "replace"))
    retry_after = headers.get("retry-after", "")
    raise Problem(
        status,
        str(body.get("code", "")),
        int(retry_after) if retry_after.isascii() and retry_after.isdigit() else None,
        _time(body.get("server_time")),
    )


def _time(value: object) -> int | None:
    return value if type(value) is int else None


class Clock:
    """The clock of the machine and how far it is off; the offset is kept in memory and never set."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset

    def learn(self, server_time: int) -> None:
        """Take the server's word for the time, after our signature was accepted."""
        self.offset = server_time - time.time()
