"""The way to Redis for whoever may wait for it: one client a process, and a short cut for what is urgent."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry


@lru_cache(maxsize=4)
def client(url: str) -> redis.Redis:
    """The client of this process for that server, with time-outs of a second and no retries."""
    return redis.Redis.from_url(
        url,
        socket_timeout=settings.REDIS_TIMEOUT,
        socket_connect_timeout=settings.REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def ask(server: redis.Redis, *words: str | float) -> Any:
    """The reply to one command, past what a client does besides: half of the price when somebody waits.

    Raises redis.RedisError; the connection is then given up by itself.
    """
    pool = server.connection_pool
    line = pool.get_connection()
    try:
        line.send_command(*words)  # type: ignore[no-untyped-call]
        return line.read_response()
    finally:
        pool.release(line)
