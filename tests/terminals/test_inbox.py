"""Inboxes in Redis: full, empty and lost are three different things."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest
import redis
from django.conf import settings

from portal.redis_pipe import Pipe, Receiver, Unreachable, pack
from terminals import inbox
from terminals.inbox import Contents, Item
from terminals.polling.reading import ASK_GENERATION, Reader
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


class TestHurry:
    def test_a_hint_to_hurry_is_no_token(self, redis_client: redis.Redis) -> None:
        declare()
        inbox.hurry(TILL, 2_000_000_000)
        assert inbox.read(TILL) == inbox.Contents((), trusted=True, hurry_until=2_000_000_000)
        assert 0 < redis_client.ttl(inbox.key_of(TILL)) <= inbox.HURRY_S

    def test_a_hint_does_not_shorten_the_life_of_tokens(self, redis_client: redis.Redis) -> None:
        inbox.push(TILL, [item(1)])
        inbox.hurry(TILL, 2_000_000_000)
        assert redis_client.ttl(inbox.key_of(TILL)) > inbox.HURRY_S


class TestNews:
    def test_a_small_inbox_travels_with_the_news_of_it(self, redis_client: redis.Redis) -> None:
        declare()
        first, second = item(1), item(2)
        inbox.hurry(TILL, 2_000_000_000)
        inbox.push(TILL, [first])
        inbox.push(TILL, [second])
        inbox.drop(TILL, [first.jti])
        inbox.push(TILL, [second])
        now = 2_000_000_000
        assert told(redis_client) == [
            ("wake", Contents((first,), trusted=True, hurry_until=now)),
            ("wake", None),
            ("change", None),
            ("wake", Contents((second,), trusted=True, hurry_until=now)),
        ]

    def test_one_that_may_have_lost_something_does_not(self, redis_client: redis.Redis) -> None:
        inbox.push(TILL, [item(1)])
        assert told(redis_client) == [("wake", None)]

    def test_of_two_tokens_put_in_together_the_lower_number_is_first(self, redis_client: redis.Redis) -> None:
        declare()
        tenth, ninth = item(10), item(9)
        inbox.push_many([(TILL, tenth), (TILL, ninth)])
        assert told(redis_client) == [("wake", Contents((ninth, tenth), trusted=True))]

    def test_what_changes_nothing_is_no_news(self, redis_client: redis.Redis) -> None:
        first = item(1)
        inbox.push(TILL, [first], wake=False)
        for _ in range(3):
            inbox.push(TILL, [first], wake=False)
        for _ in range(3):
            inbox.drop(TILL, [first.jti])
            inbox.clear(TILL)
        assert told(redis_client) == [("change", None)] * 2

    def test_an_inbox_that_is_cleared_is_news(self, redis_client: redis.Redis) -> None:
        inbox.push(TILL, [item(1)])
        inbox.clear(TILL)
        assert [what for what, _ in told(redis_client)] == ["wake", "change"]


def told(client: redis.Redis) -> list[tuple[str, Contents | None]]:
    """What the stream says of the one terminal: what happened, and the inbox if it travels along."""
    found = []
    for _, members in cast("list[tuple[str, dict[str, str]]]", client.xrange(inbox.NEWS)):
        (what, about), *inside = ((_text(name), _text(value)) for name, value in members.items())
        assert about == TILL
        flat = [text for pair in inside for text in pair]
        found.append((what, inbox.contents_of(flat, trusted=True) if flat else None))
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class TestReader:
    async def test_reads_of_one_loop_turn_leave_in_one_write(self, redis_client: redis.Redis) -> None:
        declare()
        names = [new_id("trm") for _ in range(50)]
        for name in names:
            inbox.push(name, [item(1)])
        async with reading() as (reader, pipe, _):
            await read(reader, question(TILL))
            redis_client.config_resetstat()
            before = pipe.writes
            found = await asyncio.gather(*(read(reader, question(name)) for name in names))
            assert pipe.writes == before + 1
        assert all(one.trusted and len(one.items) == 1 for one in found)
        asked = redis_client.info("commandstats")
        assert (asked["cmdstat_get"]["calls"], asked["cmdstat_hgetall"]["calls"]) == (1, 50)

    async def test_an_empty_inbox_is_believed_while_the_generation_stands(self) -> None:
        async with reading() as (reader, _, _):
            assert not (await read(reader, question(TILL))).trusted
            declare()
            assert (await read(reader, question(TILL))) is inbox.EMPTY

    async def test_a_loss_and_a_rebuild_between_two_reads_are_noticed(
        self, redis_client: redis.Redis
    ) -> None:
        declare()
        async with reading() as (reader, _, changes):
            await read(reader, question(TILL))
            redis_client.flushall()
            assert not (await read(reader, question(TILL))).trusted
            declare()
            assert (await read(reader, question(TILL))).trusted and changes == [1]

    async def test_what_was_read_while_the_generation_changed_is_read_again(self) -> None:
        pipe = StandIn([b"old", b"new", b"new"])
        assert (await read(Reader(cast("Pipe", pipe), lambda: None), b"?")).trusted
        assert pipe.asked == 3  # the first generation is news as well

    async def test_a_generation_is_looked_at_even_while_nobody_reads(self, redis_client: redis.Redis) -> None:
        declare()
        async with reading() as (reader, pipe, changes):
            await read(reader, question(TILL))
            redis_client.flushall()
            declare()
            reader.look()
            await pipe.ask(pack("PING"))
            await pipe.ask(pack("PING"))
            assert changes == [1]

    async def test_a_server_that_is_not_there_is_a_failure_not_an_empty_inbox(self) -> None:
        async with reading("unix:///nowhere/redis.sock") as (reader, _, _):
            with pytest.raises(Unreachable):
                await read(reader, question(TILL))

    async def test_what_is_no_inbox_is_a_failure_of_that_one_alone(self, redis_client: redis.Redis) -> None:
        declare()
        redis_client.set(inbox.key_of(TILL), "a text")
        async with reading() as (reader, _, _):
            both = read(reader, question(TILL)), read(reader, question(new_id("trm")))
            broken, sound = await asyncio.gather(*both, return_exceptions=True)
            assert isinstance(broken, Unreachable) and isinstance(sound, Contents) and sound.trusted

    async def test_a_receiver_that_fails_does_not_keep_the_others_waiting(self) -> None:
        declare()
        heard: list[object] = []
        async with reading() as (reader, _, _):
            await read(reader, question(TILL))
            reader.read(question(TILL), lambda _: heard.index("nothing"))
            reader.read(question(TILL), heard.append)
            await read(reader, question(TILL))
        assert heard == [inbox.EMPTY]


async def read(reader: Reader, asked: bytes) -> Contents:
    """What the reader found. Raises Unreachable."""
    told = asyncio.get_running_loop().create_future()
    reader.read(asked, told.set_result)
    found: Contents | Unreachable = await told
    if isinstance(found, Unreachable):
        raise found
    return found


def question(terminal_id: str) -> bytes:
    """The HGETALL for an inbox."""
    return pack("HGETALL", inbox.key_of(terminal_id))


@asynccontextmanager
async def reading(url: str | None = None) -> AsyncIterator[tuple[Reader, Pipe, list[int]]]:
    """A reader on a pipe of its own, and a list that grows when the generation changes."""
    changes: list[int] = []
    pipe = Pipe(url or settings.REDIS_URL, 1.0)
    try:
        yield Reader(pipe, lambda: changes.append(1)), pipe, changes
    finally:
        await pipe.close()


class StandIn:
    """A pipe on which the generation changes in the middle of a read."""

    def __init__(self, generations: list[bytes]) -> None:
        self.generations = generations
        self.asked = 0

    def send(self, packed: bytes, receiver: Receiver) -> None:
        """Answer at once."""
        assert packed == ASK_GENERATION
        receiver(self.generations.pop(0))

    def send_all(self, packed: Sequence[bytes], receiver: Receiver) -> None:
        """Answer at once, each of them."""
        for _ in packed:
            self.asked += 1
            receiver([])

    def flush(self) -> None:
        """Nothing is left."""
