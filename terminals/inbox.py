"""The inboxes in Redis: one hash a terminal, a projection of rows that may vanish at any second.

`rekey:{trm_…}:inbox` maps a token's id to "sequence number, command id, signed token". (Its id, because
sequence numbers start again when a terminal is paired anew.) A generation key tells an empty inbox from a
lost one: it exists only while every inbox has been complete since it was set, and without it nobody believes
an empty answer (design D1).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import redis
import redis.asyncio
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from portal.breaker import Breaker, Resting

GENERATION = "rekey:generation"
WAKE = "rekey:wake"
EVICT = "rekey:evict"
# An inbox nobody touches disappears by itself after the longest life of a command.
KEEP_S = 8 * 24 * 3600

# How long the marker of a rebuild lives: filling takes no longer.
REBUILD_S = 120

InboxUnavailable = redis.RedisError
breaker = Breaker(pause_s=2)


@dataclass(frozen=True, slots=True)
class Item:
    """One signed token waiting for a terminal."""

    jti: str
    seq: int
    command_id: str
    token: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What an inbox holds, in ascending `seq`; `trusted` tells whether emptiness can be believed."""

    items: tuple[Item, ...]
    trusted: bool


def key_of(terminal_id: str) -> str:
    """The inbox's key; the braces keep all keys of a terminal on one shard."""
    return f"rekey:{{{terminal_id}}}:inbox"


@lru_cache(maxsize=4)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_timeout=settings.REDIS_TIMEOUT,
        socket_connect_timeout=settings.REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def client() -> redis.Redis:
    """The client of this process, with time-outs of a second and no retries."""
    return _client(settings.REDIS_URL)


@contextmanager
def _reachable() -> Iterator[redis.Redis]:
    """The client, unless Redis failed a moment ago: then whoever asks is spared the wait."""
    try:
        with breaker.guard():
            yield client()
    except Resting as error:
        raise redis.ConnectionError("Redis failed a moment ago") from error


def push(terminal_id: str, items: Iterable[Item], *, wake: bool = True) -> None:
    """Put tokens in; again is harmless. Raises InboxUnavailable."""
    with _reachable() as server:
        pipe = server.pipeline(transaction=False)
        for item in items:
            pipe.hset(key_of(terminal_id), item.jti, f"{item.seq} {item.command_id} {item.token}")
        pipe.expire(key_of(terminal_id), KEEP_S)
        if wake:
            pipe.publish(WAKE, terminal_id)
        pipe.execute()


def drop(terminal_id: str, jtis: Iterable[str]) -> None:
    """Take tokens out; again is harmless. Raises InboxUnavailable."""
    fields = list(jtis)
    if fields:
        with _reachable() as server:
            server.hdel(key_of(terminal_id), *fields)


def clear(terminal_id: str) -> None:
    """Empty one inbox. Raises InboxUnavailable."""
    with _reachable() as server:
        server.delete(key_of(terminal_id))


def evict(terminal_id: str) -> None:
    """Tell every poll process to forget the terminal's verified bearers. Raises InboxUnavailable."""
    with _reachable() as server:
        server.publish(EVICT, terminal_id)


def is_complete() -> bool:
    """Whether the inboxes have been complete since the last rebuild. Raises InboxUnavailable."""
    with _reachable() as server:
        return bool(server.exists(GENERATION))


def rebuild(fill: Callable[[], None]) -> bool:
    """Call `fill`, which pushes every waiting token, and then declare the inboxes complete.

    If Redis is wiped meanwhile, the marker set before `fill` is gone, renaming it fails and nothing is
    declared: the next round starts over. Returns whether it was declared; raises InboxUnavailable.
    """
    marker = f"{GENERATION}:{secrets.token_hex(8)}"
    with _reachable() as server:
        server.set(marker, secrets.token_hex(8), ex=REBUILD_S)
    fill()
    with _reachable() as server:
        try:
            server.rename(marker, GENERATION)
        except redis.ResponseError:
            return False
        return bool(server.persist(GENERATION))


def _contents(fields: dict[str, str], before: str | None, after: str | None) -> Contents:
    """What was read; trusted when one and the same generation stood before it and after it."""
    items = []
    for jti, value in fields.items():
        seq, command_id, token = value.split(" ")
        items.append(Item(jti, int(seq), command_id, token))
    trusted = before is not None and before == after
    return Contents(tuple(sorted(items, key=lambda item: item.seq)), trusted)


def read(terminal_id: str) -> Contents:
    """What the inbox holds now. Raises InboxUnavailable."""
    with _reachable() as server:
        pipe = server.pipeline(transaction=False)
        pipe.get(GENERATION)
        pipe.hgetall(key_of(terminal_id))
        pipe.get(GENERATION)
        before, fields, after = pipe.execute()
    return _contents(fields, before, after)


class Reader:
    """Reads inboxes for one event loop: all reads of one loop turn leave in one pipeline."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self.redis = redis.asyncio.Redis.from_url(
            url, decode_responses=True, socket_connect_timeout=timeout_s, health_check_interval=30
        )
        self._waiting: dict[str, asyncio.Future[Contents]] = {}
        self._flush: asyncio.Task[None] | None = None

    async def read(self, terminal_id: str) -> Contents:
        """What the inbox holds now. Raises InboxUnavailable, after the time-out at the latest."""
        future = self._waiting.get(terminal_id)
        if future is None:
            future = self._waiting[terminal_id] = asyncio.get_running_loop().create_future()
            if self._flush is None:
                self._flush = asyncio.create_task(self._read_waiting())
        return await asyncio.shield(future)

    async def _read_waiting(self) -> None:
        self._flush, waiting = None, self._waiting
        self._waiting = {}
        try:
            pipe = self.redis.pipeline(transaction=False)
            pipe.get(GENERATION)
            for terminal_id in waiting:
                pipe.hgetall(key_of(terminal_id))
            pipe.get(GENERATION)
            before, *found, after = await asyncio.wait_for(pipe.execute(), self._timeout_s)
        except (redis.RedisError, OSError, TimeoutError) as error:
            failure = redis.ConnectionError(type(error).__name__)
            for future in waiting.values():
                future.set_exception(failure)
                future.exception()  # whoever gave up waiting must not leave an unread failure behind
            return
        for future, fields in zip(waiting.values(), found, strict=True):
            if not future.done():
                future.set_result(_contents(fields, before, after))

    async def close(self) -> None:
        """Let go of the connections."""
        await self.redis.aclose()
