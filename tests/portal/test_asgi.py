"""Polls are answered by the poll, everything else by Django, and both in one process."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from portal import asgi
from terminals.polling import poll
from terminals.polling.poll import Application

SEEN: list[str] = []


async def pages(scope: Any, receive: Any, send: Any) -> None:
    SEEN.append(scope["path"])
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


async def get(app: Any, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        try:
            return await client.get(path)
        finally:
            await poll.close()


async def test_a_poll_does_not_touch_django() -> None:
    answer = await get(Application(pages), "/terminal/v1/commands?wait=5")
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_auth")
    assert SEEN == []


@pytest.mark.parametrize("path", ["/healthz", "/terminal/v1/commands/", "/terminal/v1/Commands"])
async def test_every_other_address_is_of_the_pages(path: str) -> None:
    assert (await get(Application(pages), path)).status_code == 204
    assert [path] == SEEN


@pytest.mark.django_db
async def test_the_pages_of_the_real_process_are_djangos() -> None:
    answer = await get(asgi.application, "/healthz")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_poll_hears_of_start_and_stop() -> None:
    said, asked = [], iter(("lifespan.startup", "lifespan.shutdown"))

    async def receive() -> dict[str, str]:
        return {"type": next(asked)}

    async def send(message: Any) -> None:
        said.append(message["type"])

    await Application(pages)({"type": "lifespan"}, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
