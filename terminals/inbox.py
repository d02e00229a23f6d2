"""The inboxes in Redis: one hash a terminal, a projection of rows that may vanish at any second.

`rekey:{trm_…}:inbox` maps a token's id to "sequence number, command id, signed token". (Its id, because
sequence numbers start again when a terminal is paired anew.) A generation key tells an empty inbox from a
lost one: it exists only while every inbox has been complete since it was set, and without it nobody believes
an empty answer (design D1).

What happens to inboxes is told to the poll processes through one short stream, `rekey:news`: whose inbox has
something new in it (wake), whose changed otherwise (change), and whose keys or state changed (evict). Every
change leaves a line there in the same step. So the news that wake can bring a small inbox with them, and who
has read everything in the stream knows what is in it without asking.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import redis
from django.conf import settings

from portal import redis_line
from portal.breaker import Breaker, Resting

GENERATION = "rekey:generation"
NEWS = "rekey:news"
# So many news are kept for a process that lost its connection; one that missed more forgets all it knew.
NEWS_KEPT = 4096
WAKE, CHANGE, EVICT = "wake", "change", "evict"
# An inbox with no more members than this travels with the news of it: one token, and when to stop hurrying.
CARRIED_MAX = 2
# The member of an inbox that is no token: until when (Unix seconds) its terminal should call fast.
HURRY = "hurry"
HURRY_S = 900
# An inbox nobody touches disappears by itself after the longest life of a command.
KEEP_S = 8 * 24 * 3600

# How long the marker of a rebuild lives: filling takes no longer.
REBUILD_S = 120

# In one step, so that what the news carry is the inbox as it was at their place in the stream. Without a
# generation nobody could believe it to be complete.
_PUT: Final = """
local added = redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('EXPIRE', KEYS[1], ARGV[1])
if ARGV[3] == 'change' and added == 0 then return 0 end
local inside, small = {}, redis.call('HLEN', KEYS[1]) <= tonumber(ARGV[5])
if ARGV[3] == 'wake' and small and redis.call('EXISTS', KEYS[3]) == 1 then
  inside = redis.call('HGETALL', KEYS[1])
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', ARGV[3], ARGV[4], unpack(inside))
return added
"""
_TAKE_OUT: Final = """
local gone
if ARGV[3] then gone = redis.call('HDEL', KEYS[1], unpack(ARGV, 3)) else gone = redis.call('DEL', KEYS[1]) end
if gone > 0 then redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'change', ARGV[2]) end
return gone
"""

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
    """What an inbox holds, in ascending `seq`; `trusted` tells whether emptiness can be believed.

    `hurry_until` is when (Unix seconds) the terminal may go back to its usual pace.
    """

    items: tuple[Item, ...]
    trusted: bool
    hurry_until: int = 0


EMPTY: Final = Contents((), trusted=True)
UNTRUSTED: Final = Contents((), trusted=False)


def key_of(terminal_id: str) -> str:
    """The inbox's key; the braces keep all keys of a terminal on one shard."""
    return f"rekey:{{{terminal_id}}}:inbox"


def client() -> redis.Redis:
    """The client of this process, with time-outs of a second and no retries."""
    return redis_line.client(settings.REDIS_URL)


@contextmanager
def reachable() -> Iterator[redis.Redis]:
    """The client, unless Redis failed a moment ago: then whoever asks is spared the wait."""
    try:
        with breaker.guard():
            yield client()
    except Resting as error:
        raise redis.ConnectionError("Redis failed a moment ago") from error


def push(terminal_id: str, items: Iterable[Item], *, wake: bool = True) -> None:
    """Put tokens in; again is harmless. Raises InboxUnavailable."""
    push_many(((terminal_id, item) for item in items), wake=wake)


def push_many(items: Iterable[tuple[str, Item]], *, wake: bool = True) -> None:
    """Put tokens into the inboxes of many terminals, in one round trip. Raises InboxUnavailable."""
    inside: dict[str, list[str]] = {}
    for terminal_id, item in items:
        members = inside.setdefault(terminal_id, [])
        members += (item.jti, f"{item.seq} {item.command_id} {item.token}")
    with reachable() as server:
        if len(inside) == 1:
            # Somebody may be waiting for it, and a pipeline for one costs time.
            redis_line.ask(server, "EVAL", *_put(*inside.popitem(), wake=wake))
            return
        pipe = server.pipeline(transaction=False)
        for terminal_id, members in inside.items():
            pipe.eval(*_put(terminal_id, members, wake=wake))
        pipe.execute()


def _put(terminal_id: str, members: list[str], *, wake: bool) -> list[Any]:
    """`_PUT` and what it is called with."""
    keys = key_of(terminal_id), NEWS, GENERATION
    limits = str(KEEP_S), str(NEWS_KEPT), WAKE if wake else CHANGE, terminal_id, str(CARRIED_MAX)
    return [_PUT, len(keys), *keys, *limits, *members]


def _tell(server: redis.Redis, what: str, terminal_id: str) -> None:
    server.xadd(NEWS, {what: terminal_id}, maxlen=NEWS_KEPT, approximate=True)


def hurry(terminal_id: str, until: int) -> None:
    """Tell the terminal, with its next answer, to call fast until then (Unix). Raises InboxUnavailable."""
    with reachable() as server:
        pipe = server.pipeline(transaction=False)
        pipe.hset(key_of(terminal_id), HURRY, until)
        # An inbox with tokens in it lives longer than this, and keeps doing so.
        pipe.expire(key_of(terminal_id), HURRY_S, nx=True)
        pipe.execute()


def drop(terminal_id: str, jtis: Iterable[str]) -> None:
    """Take tokens out; again is harmless. Raises InboxUnavailable."""
    fields = list(jtis)
    if fields:
        _take_out(terminal_id, *fields)


def clear(terminal_id: str) -> None:
    """Empty one inbox. Raises InboxUnavailable."""
    _take_out(terminal_id)


def _take_out(terminal_id: str, *fields: str) -> None:
    with reachable() as server:
        server.eval(_TAKE_OUT, 2, key_of(terminal_id), NEWS, NEWS_KEPT, terminal_id, *fields)


def evict(terminal_id: str) -> None:
    """Tell every poll process to forget the terminal's verified bearers. Raises InboxUnavailable."""
    with reachable() as server:
        _tell(server, EVICT, terminal_id)


def is_complete() -> bool:
    """Whether the inboxes have been complete since the last rebuild. Raises InboxUnavailable."""
    with reachable() as server:
        return bool(server.exists(GENERATION))


def rebuild(fill: Callable[[], None]) -> bool:
    """Call `fill`, which pushes every waiting token, and then declare the inboxes complete.

    If Redis is wiped meanwhile, the marker set before `fill` is gone, renaming it fails and nothing is
    declared: the next round starts over. Returns whether it was declared; raises InboxUnavailable.
    """
    marker = f"{GENERATION}:{secrets.token_hex(8)}"
    with reachable() as server:
        server.set(marker, secrets.token_hex(8), ex=REBUILD_S)
    fill()
    with reachable() as server:
        try:
            server.rename(marker, GENERATION)
        except redis.ResponseError:
            return False
        return bool(server.persist(GENERATION))


def contents_of(fields: Sequence[str], *, trusted: bool) -> Contents:
    """What HGETALL gave: names and values in turn."""
    if not fields:
        return EMPTY if trusted else UNTRUSTED
    items, hurry_until = [], 0
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        if name == HURRY:
            hurry_until = int(value)
        else:
            seq, command_id, token = value.split(" ")
            items.append(Item(name, int(seq), command_id, token))
    return Contents(tuple(sorted(items, key=lambda item: item.seq)), trusted, hurry_until)


def read(terminal_id: str) -> Contents:
    """What the inbox holds now; the poll has a reader of its own. Raises InboxUnavailable."""
    with reachable() as server:
        pipe = server.pipeline(transaction=False)
        pipe.get(GENERATION)
        pipe.hgetall(key_of(terminal_id))
        pipe.get(GENERATION)
        before, fields, after = pipe.execute()
    flat = [text for pair in fields.items() for text in pair]
    return contents_of(flat, trusted=before is not None and before == after)
