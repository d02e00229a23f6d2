"""No request brings more than it may: bodies are measured before anybody keeps them."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from django.conf import settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]

# A body has to arrive within this time, however it trickles.
BODY_S: Final = 10.0
REASONS: Final = {
    408: ("slow", "The request did not arrive in time."),
    413: ("too_large", "The request is too large."),
    400: ("malformed", "The request cannot be read."),
}


class Refused(Exception):
    """A body that is not taken; `status` is 400, 408 or 413."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def limit_of(path: str) -> int:
    """How many bytes of body a path takes."""
    if path.startswith(settings.TERMINAL_PREFIX):
        return int(settings.TERMINAL_BODY_MAX)
    if path.startswith(settings.PHOTO_PREFIXES):
        return int(settings.PHOTO_BODY_MAX)
    return int(settings.PAGE_BODY_MAX)


def bounded(application: Application) -> Application:
    """The application, which from now on gets bodies that are whole and not too large."""

    async def within_bounds(scope: Any, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            await application(scope, receive, send)
            return
        limit = limit_of(scope["path"])
        try:
            _check_length(headers.get(b"content-length", b"0"), limit)
            async with asyncio.timeout(BODY_S):
                body = await _whole(receive, limit)
        except Refused as refusal:
            await _refuse(send, refusal.status)
        except TimeoutError:
            await _refuse(send, 408)
        else:
            if body is not None:
                await application(scope, _replaying(body, receive), send)

    return within_bounds


def _check_length(told: bytes, limit: int) -> None:
    if not told.isdigit() or len(told) > 12:
        raise Refused(400)
    if int(told) > limit:
        raise Refused(413)


async def _whole(receive: Receive, limit: int) -> bytes | None:
    """The body, or None when the sender has left before its end."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise Refused(413)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Hand out what was read, then whatever comes."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(send: Send, status: int) -> None:
    """A problem (RFC 9457); the rest of the request is not read, so the connection ends."""
    code, title = REASONS[status]
    trace = secrets.token_hex(8)
    problem = {"type": f"/problems/{code}", "title": title, "status": status, "code": code}
    body = json.dumps(problem | {"retryable": status == 408, "trace": trace}).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"rekey-trace", trace.encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
