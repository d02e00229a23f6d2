"""What the poll is compared with: the same work as a sync and as an async Django view, without middleware."""

from __future__ import annotations

import asyncio
import time
from weakref import WeakKeyDictionary

import redis
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from benchmarks.ceiling import Pipeline, connect
from terminals.authentication import Bearer, admit, verify
from terminals.inbox import key_of

_bearers: dict[str, Bearer] = {}
# Threads share its pool. It has no breaker: 64 threads that wait for one core are no broken Redis.
_pipelines: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Future[Pipeline]] = WeakKeyDictionary()
_redis = redis.Redis.from_url(settings.REDIS_URL)


def _remembered(request: HttpRequest) -> Bearer | None:
    bearer = _bearers.get(request.headers["Authorization"])
    return bearer if bearer and bearer.expires > time.time() else None


def _verified(request: HttpRequest) -> Bearer:
    header = request.headers["Authorization"]
    bearer = _bearers[header] = verify(header)
    return bearer


def sync_view(request: HttpRequest) -> HttpResponse:
    """A verified bearer, the inbox, 204."""
    bearer = _remembered(request) or _verified(request)
    admit(bearer)
    waiting = _redis.hgetall(key_of(bearer.terminal_id))
    return HttpResponse(status=200 if waiting else 204)


async def _pipeline() -> Pipeline:
    loop = asyncio.get_running_loop()
    if loop not in _pipelines:
        _pipelines[loop] = asyncio.ensure_future(connect(settings.REDIS_URL))
    return await _pipelines[loop]


async def async_view(request: HttpRequest) -> HttpResponse:
    """The same, with the ceiling's pipelined reads."""
    bearer = _remembered(request) or await sync_to_async(_verified, thread_sensitive=False)(request)
    admit(bearer)
    waiting = await (await _pipeline()).ask("HGETALL", key_of(bearer.terminal_id))
    return HttpResponse(status=200 if waiting else 204)


urlpatterns = [path("sync", sync_view), path("async", async_view)]
