"""Held polls are woken by news, and no news gets lost on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import redis
from django.conf import settings

from portal import redis_pipe
from portal.redis_pipe import Pipe
from terminals import inbox
from terminals.polling import wakeups
from terminals.polling.bearers import BearerCache
from terminals.polling.wakeups import Held, Wakeups

TILL, OTHER = "trm_0123456789abcdef", "trm_fedcba9876543210"
TOKEN = inbox.Item("tok_0123456789abcdef", 1, "cmd_0123456789abcdef", "a.b.c")
LATER = inbox.Item("tok_fedcba9876543210", 2, "cmd_fedcba9876543210", "d.e.f")


class Cache(BearerCache):
    """Notes what it was told to forget."""

    def __init__(self) -> None:
        super().__init__()
        self.forgot: list[str] = []

    def evict(self, terminal_id: str) -> None:
        """One terminal."""
        self.forgot.append(terminal_id)

    def clear(self) -> None:
        """All of them."""
        self.forgot.append("all")


@asynccontextmanager
async def following() -> AsyncIterator[tuple[Held, Cache, Pipe]]:
    """A follower of the news that has begun to listen."""
    held, cache, pipe = Held(), Cache(), Pipe(settings.REDIS_URL, 6)
    follower = Wakeups(pipe, held, cache, lambda: None)
    follower.start()
    await until(lambda: cache.forgot == ["all"])
    cache.forgot.clear()
    await asyncio.sleep(0.05)
    try:
        yield held, cache, pipe
    finally:
        held.close()
        await follower.close()
        await pipe.close()


async def until(true: Callable[[], bool], within_s: float = 3) -> None:
    """Come back when it is so."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - what happens in Redis sets no event
            await asyncio.sleep(0.01)


def patience(seconds: float = 30) -> float:
    """Until then, by the loop's clock."""
    return asyncio.get_running_loop().time() + seconds


class TestHeld:
    async def test_news_wake_the_one_they_are_about(self) -> None:
        async with following() as (held, _, _pipe):
            mine, other = held.hold(TILL, patience()), held.hold(OTHER, patience())
            inbox.push(TILL, [TOKEN])
            assert await asyncio.wait_for(mine, 2) is True and not other.done()

    async def test_patience_ends(self) -> None:
        held, began = Held(), time.monotonic()
        assert await held.hold(TILL, patience(0.3)) is False
        assert 0.3 <= time.monotonic() - began < 1

    async def test_ten_thousand_wait_on_one_timer(self) -> None:
        held, loop = Held(), asyncio.get_running_loop()
        before = len(loop._scheduled)  # type: ignore[attr-defined]
        futures = [held.hold(f"trm_{number}", patience(0.3)) for number in range(10_000)]
        assert len(loop._scheduled) == before + 1  # type: ignore[attr-defined]
        assert set(await asyncio.gather(*futures)) == {False}

    async def test_asking_again_ends_what_was_asked_before(self) -> None:
        held = Held()
        first, second = held.hold(TILL, patience()), held.hold(TILL, patience())
        assert await first is False and not second.done()
        held.let_go(TILL, first)
        assert len(held) == 1
        held.let_go(TILL, second)
        assert len(held) == 0
        held.close()

    async def test_when_the_server_stops_nobody_waits_any_more(self) -> None:
        held = Held()
        first = held.hold(TILL, patience())
        held.close()
        assert await first is False and await held.hold(OTHER, patience()) is False


class TestCarried:
    """News bring the inbox along, and are believed only if nothing that happened since can be missing."""

    @pytest.fixture(autouse=True)
    def complete(self, redis_client: redis.Redis) -> None:
        """All inboxes are."""
        assert inbox.rebuild(lambda: None)

    async def test_who_waits_is_handed_the_inbox(self) -> None:
        async with following() as (held, _, _pipe):
            mine = held.hold(TILL, patience())
            inbox.push(TILL, [TOKEN])
            assert await asyncio.wait_for(mine, 2) == inbox.Contents((TOKEN,), trusted=True)

    @pytest.mark.parametrize(
        "since",
        [
            lambda: inbox.drop(TILL, [TOKEN.jti]),
            lambda: inbox.clear(TILL),
            lambda: inbox.evict(TILL),
            lambda: inbox.push(TILL, [LATER], wake=False),
        ],
        ids=["taken out", "cleared", "stopped", "more put in silently"],
    )
    async def test_what_has_changed_since_is_looked_at(
        self, since: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with interrupted(monkeypatch) as held:
            mine = held.hold(TILL, patience())
            inbox.push(TILL, [TOKEN])
            since()
            assert await asyncio.wait_for(mine, 2) is True

    async def test_who_waits_is_handed_all_there_is_lowest_number_first(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with interrupted(monkeypatch) as held:
            mine = held.hold(TILL, patience())
            inbox.push(TILL, [LATER])
            inbox.push(TILL, [TOKEN])
            assert await asyncio.wait_for(mine, 2) == inbox.Contents((TOKEN, LATER), trusted=True)

    async def test_of_what_came_and_went_and_came_the_last_is_believed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with interrupted(monkeypatch) as held:
            mine = held.hold(TILL, patience())
            inbox.push(TILL, [TOKEN])
            inbox.drop(TILL, [TOKEN.jti])
            inbox.push(TILL, [LATER])
            assert await asyncio.wait_for(mine, 2) == inbox.Contents((LATER,), trusted=True)

    async def test_whoever_is_far_behind_looks_for_himself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wakeups, "AT_ONCE", 2)
        async with interrupted(monkeypatch) as held:
            mine = held.hold(TILL, patience())
            inbox.push(OTHER, [TOKEN])
            inbox.push(TILL, [TOKEN])
            inbox.drop(TILL, [TOKEN.jti])
            assert await asyncio.wait_for(mine, 2) is True

    async def test_nobody_is_woken_for_what_was_taken_out(self) -> None:
        inbox.push(TILL, [TOKEN])
        async with following() as (held, cache, _):
            mine = held.hold(TILL, patience())
            inbox.drop(TILL, [TOKEN.jti])
            inbox.evict(OTHER)
            await until(lambda: cache.forgot == [OTHER])
            assert not mine.done()


@asynccontextmanager
async def interrupted(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Held]:
    """A follower whose line is down for a moment, so that what happens now is heard in one go."""
    monkeypatch.setattr(wakeups, "RECONNECT_S", 0.2)
    monkeypatch.setattr(redis_pipe, "PAUSE_S", 0.01)
    inbox.evict("trm_somebody_before")
    async with following() as (held, _, pipe):
        pipe._lose(ConnectionResetError())
        yield held


class TestNews:
    async def test_who_is_evicted_is_forgotten_and_woken(self) -> None:
        async with following() as (held, cache, _):
            mine = held.hold(TILL, patience())
            inbox.evict(TILL)
            assert await asyncio.wait_for(mine, 2) is True and cache.forgot == [TILL]

    async def test_what_happens_while_the_line_is_down_is_heard_afterwards(
        self, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wakeups, "RECONNECT_S", 0.2)
        monkeypatch.setattr(redis_pipe, "PAUSE_S", 0.01)
        inbox.evict("trm_somebody_before")
        async with following() as (held, cache, pipe):
            mine, other = held.hold(TILL, patience()), held.hold(OTHER, patience())
            pipe._lose(ConnectionResetError())
            inbox.push(TILL, [TOKEN])
            inbox.evict(OTHER)
            assert await asyncio.wait_for(mine, 2) is True
            await asyncio.wait_for(other, 2)
            assert cache.forgot == [OTHER]

    async def test_when_the_news_themselves_are_lost_nothing_is_trusted(
        self, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wakeups, "RECONNECT_S", 0.05)
        monkeypatch.setattr(redis_pipe, "PAUSE_S", 0.01)
        async with following() as (held, cache, pipe):
            mine = held.hold(TILL, patience())
            redis_client.flushall()
            pipe._lose(ConnectionResetError())
            assert await asyncio.wait_for(mine, 2) is True and cache.forgot == ["all"]

    async def test_silence_is_noticed_and_looked_into(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wakeups, "SILENCE_S", 0.05)
        quiet: list[int] = []
        pipe = Pipe(settings.REDIS_URL, 1)
        follower = Wakeups(pipe, Held(), Cache(), lambda: quiet.append(1))
        follower.start()
        await until(lambda: len(quiet) > 1)
        await follower.close()
        await pipe.close()

    def test_the_stream_stays_short(self, redis_client: redis.Redis) -> None:
        pipe = redis_client.pipeline(transaction=False)
        for _ in range(3 * inbox.NEWS_KEPT):
            inbox._tell(pipe, inbox.WAKE, TILL)
        pipe.execute()
        assert redis_client.xlen(inbox.NEWS) < 1.2 * inbox.NEWS_KEPT
