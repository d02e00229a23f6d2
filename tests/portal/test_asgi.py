"""Polls go to the poll callable, everything else to Django."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from portal import asgi

SEEN: list[str] = []


async def poll(scope: Any, receive: Any, send: Any) -> None:
    SEEN.append(scope["type"])
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture(autouse=True)
def a_poll_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    SEEN.clear()
    monkeypatch.setattr(asgi, "poll", poll)


async def get(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=asgi.application)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.get(path)


async def test_a_poll_does_not_touch_django() -> None:
    assert (await get("/terminal/v1/commands?wait=5")).status_code == 204
    assert SEEN == ["http"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/terminal/v1/commands/", "/terminal/v1/Commands"])
async def test_every_other_address_is_djangos(path: str) -> None:
    answer = await get(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert SEEN == []


async def test_the_poll_hears_of_start_and_stop() -> None:
    async def nothing(*_: Any) -> Any: ...

    await asgi.application({"type": "lifespan"}, nothing, nothing)
    assert SEEN == ["lifespan"]
