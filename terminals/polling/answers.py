"""What a terminal asks with a poll, and what it is answered (protocol §3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from django.conf import settings

from terminals.inbox import Contents
from terminals.polling.pacing import FAST_S, Header, pace
from terminals.protocol import TOKENS_PER_POLL, WAIT_MAX, ProtocolError

NO_STORE: Final = (b"cache-control", b"no-store")
CLOSE: Final = (b"connection", b"close")
JSON: Final = (b"content-type", b"application/json")
PROBLEM: Final = (b"content-type", b"application/problem+json")


@dataclass(frozen=True, slots=True)
class Question:
    """What a terminal asks: how many tokens, and how long it may wait for them."""

    wait: int
    most: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers besides those every answer carries, the same as they travel, and body."""

    status: int
    headers: tuple[Header, ...]
    lines: bytes
    body: bytes = b""


def _answer(status: int, headers: tuple[Header, ...], body: bytes = b"") -> Answer:
    return Answer(status, headers, _lines(headers), body)


def _lines(headers: Iterable[Header]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)


@lru_cache(maxsize=1024)
def question_of(query: bytes) -> Question:
    """Read the query string. Raises ProtocolError `malformed`."""
    asked = dict(parse_qsl(query.decode("latin-1")))
    wait = _number(asked.get("wait", "0"), 0, WAIT_MAX)
    most = _number(asked.get("max", str(TOKENS_PER_POLL)), 1, TOKENS_PER_POLL)
    return Question(wait, most)


@lru_cache(maxsize=1024)
def asked_by(target: bytes) -> Question | None:
    """What this request line asks, if it is a plain poll; what is odd about another is not found out here."""
    path, _, query = target.partition(b"?")
    if path != settings.POLL_PATH.encode():
        return None
    try:
        return question_of(query)
    except ProtocolError:
        return None


def _number(text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ProtocolError("malformed", "query")
    return min(max(int(text), low), high)


def etag_of(contents: Contents, most: int) -> bytes:
    """Names what a terminal gets; empty for an empty inbox.

    By token: a server that was put back may sign a command again under the same number.
    """
    if not contents.items:
        return b""
    named = ",".join(item.jti for item in contents.items[:most])
    more = len(contents.items) > most
    return f'"{hashlib.sha256(f"{named}|{more}".encode()).hexdigest()[:22]}"'.encode()


@lru_cache(maxsize=4096)
def nothing(interval: int, fast_until: int | None, calm: bool) -> Answer:
    """The answer of an empty inbox to a terminal of this pace."""
    return _answer(204, (pace(interval, fast_until, calm), NO_STORE))


def something(contents: Contents, most: int, etag: bytes, how_often: tuple[int, int | None, bool]) -> Answer:
    """The answer of an inbox with tokens in it; short when the terminal has them already."""
    hint, named = pace(*how_often), etag_of(contents, most)
    if named == etag:
        return _answer(304, (hint, NO_STORE, (b"etag", named)))
    tokens = [item.token for item in contents.items[:most]]
    body = {"tokens": tokens, "more": len(contents.items) > most}
    text = json.dumps(body, separators=(",", ":")).encode()
    return _answer(200, (hint, NO_STORE, (b"etag", named), JSON), text)


def fast_until(contents: Contents, now: float) -> int | None:
    """Until when (Unix seconds) the terminal should call fast: while a command is on its way."""
    until = max(contents.hurry_until, int(now) + FAST_S if contents.items else 0)
    return until if until > now else None


def refusal(error: ProtocolError, trace: bytes) -> Answer:
    """A problem (RFC 9457)."""
    headers, lines, before, after = _refusal(error.code, error.retry_after, error.server_time)
    return Answer(error.status, headers, lines, b"%b%b%b" % (before, trace, after))


@lru_cache(maxsize=1024)
def _refusal(
    code: str, retry_after: int | None, server_time: int | None
) -> tuple[tuple[Header, ...], bytes, bytes, bytes]:
    """Headers, the same as they travel, and the body before and after the trace, which always differs."""
    headers: list[Header] = [NO_STORE, PROBLEM]
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % retry_after))
    if code in ("malformed", "method_not_allowed"):
        # Whatever else is coming on this connection, nobody will read it.
        headers.append(CLOSE)
    error = ProtocolError(code, retry_after=retry_after, server_time=server_time)
    before, _, after = json.dumps(error.problem("TRACE")).encode().partition(b"TRACE")
    return tuple(headers), _lines(headers), before, after
