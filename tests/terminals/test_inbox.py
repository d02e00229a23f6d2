"""Inboxes in Redis: full, empty and lost are three different things."""

from __future__ import annotations

import asyncio

import pytest
import redis
from django.conf import settings

from terminals import inbox
from terminals.inbox import Item, Reader
from terminals.protocol import new_id

TILL = "trm_0123456789abcdef"


def item(seq: int) -> Item:
    """A token as the inbox sees it: opaque."""
    return Item(new_id("tok"), seq, new_id("cmd"), f"head.{seq}.tail")


def declare() -> None:
    """All inboxes are complete: there was nothing to fill."""
    assert inbox.rebuild(lambda: None)


class TestContents:
    def test_tokens_come_out_in_the_order_of_their_numbers(self) -> None:
        declare()
        tenth, ninth = item(10), item(9)
        inbox.push(TILL, [tenth, ninth])
        assert inbox.read(TILL) == inbox.Contents((ninth, tenth), trusted=True)

    def test_pushing_and_dropping_again_is_harmless(self) -> None:
        declare()
        first, second = item(1), item(2)
        for _ in range(2):
            inbox.push(TILL, [first, second])
        for _ in range(2):
            inbox.drop(TILL, [first.jti])
        assert inbox.read(TILL).items == (second,)

    def test_all_keys_of_a_terminal_share_a_shard(self) -> None:
        assert inbox.key_of(TILL) == "rekey:{trm_0123456789abcdef}:inbox"

    def test_nothing_stays_for_ever(self, redis_client: redis.Redis) -> None:
        inbox.push(TILL, [item(1)])
        assert 7 * 86_400 < redis_client.ttl(inbox.key_of(TILL)) <= inbox.KEEP_S


class TestTrust:
    def test_an_empty_inbox_is_believed_only_after_a_rebuild(self, redis_client: redis.Redis) -> None:
        assert not inbox.read(TILL).trusted
        declare()
        assert inbox.read(TILL).trusted
        redis_client.flushall()
        assert not inbox.read(TILL).trusted

    def test_a_rebuild_that_is_wiped_half_way_declares_nothing(self, redis_client: redis.Redis) -> None:
        def wipe() -> None:
            redis_client.flushall()

        assert not inbox.rebuild(wipe)
        assert not inbox.is_complete() and not inbox.read(TILL).trusted

    def test_a_declaration_does_not_run_out(self, redis_client: redis.Redis) -> None:
        declare()
        assert redis_client.ttl(inbox.GENERATION) == -1

    @pytest.mark.parametrize(("before", "after"), [("a", None), (None, "a"), ("a", "b"), (None, None)])
    def test_a_loss_in_the_middle_of_a_read_is_noticed(self, before: str | None, after: str | None) -> None:
        assert not inbox._contents({}, before, after).trusted


class TestReader:
    def test_reads_of_one_loop_turn_share_one_round_trip(self, redis_client: redis.Redis) -> None:
        declare()
        names = [new_id("trm") for _ in range(50)]
        for name in names:
            inbox.push(name, [item(1)])
        redis_client.config_resetstat()

        async def read_all() -> list[inbox.Contents]:
            reader = Reader(settings.REDIS_URL, 1.0)
            try:
                return await asyncio.gather(*(reader.read(name) for name in names + names[:10]))
            finally:
                await reader.close()

        assert all(found.trusted and len(found.items) == 1 for found in asyncio.run(read_all()))
        asked = redis_client.info("commandstats")
        assert (asked["cmdstat_get"]["calls"], asked["cmdstat_hgetall"]["calls"]) == (2, 50)

    def test_a_server_that_is_not_there_is_a_failure_not_an_empty_inbox(self) -> None:
        async def read() -> None:
            reader = Reader("unix:///nowhere/redis.sock", 0.2)
            try:
                await reader.read(TILL)
            finally:
                await reader.close()

        with pytest.raises(inbox.InboxUnavailable):
            asyncio.run(read())
