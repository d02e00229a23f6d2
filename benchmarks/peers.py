"""What the poll is compared with: the same work as a sync and as an async Django view, without middleware."""

from __future__ import annotations

import redis
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from terminals.authentication import Bearer, admit, verify
from terminals.bearers import BearerCache
from terminals.inbox import key_of
from terminals.poll import poll_of_this_loop

_bearers = BearerCache()
# Threads share its pool. It has no breaker: 64 threads that wait for one core are no broken Redis.
_redis = redis.Redis.from_url(settings.REDIS_URL)


def _remembered(request: HttpRequest) -> Bearer | None:
    return _bearers.get(request.headers["Authorization"].encode())


def _verified(request: HttpRequest) -> Bearer:
    header = request.headers["Authorization"]
    bearer = verify(header)
    _bearers.put(header.encode(), bearer)
    return bearer


def sync_view(request: HttpRequest) -> HttpResponse:
    """A verified bearer, the inbox, 204."""
    bearer = _remembered(request) or _verified(request)
    admit(bearer)
    waiting = _redis.hgetall(key_of(bearer.terminal_id))
    return HttpResponse(status=200 if waiting else 204)


async def async_view(request: HttpRequest) -> HttpResponse:
    """The same, with the product's own pipelined reads."""
    bearer = _remembered(request) or await sync_to_async(_verified, thread_sensitive=False)(request)
    admit(bearer)
    contents = await poll_of_this_loop().reader.read(bearer.terminal_id)
    return HttpResponse(status=200 if contents.items else 204)


urlpatterns = [path("sync", sync_view), path("async", async_view)]
