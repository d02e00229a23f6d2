"""Whom the poll remembers, for how long, and what makes it forget."""

from __future__ import annotations

import time

import pytest

from terminals.authentication import CURRENT, Bearer, Owner
from terminals.polling import bearers
from terminals.polling.bearers import BearerCache, Pass

NOW = time.time()


def put(cache: BearerCache, header: bytes, name: str = "a", ends: float = NOW + 60, age: int = 0) -> Pass:
    """Have the cache remember a bearer of the terminal of this name."""
    bearer = Bearer(name, "active", "mains", True, int(ends))
    return cache.put(header, bearer, owner(name), None, age)


def owner(name: str) -> Owner:
    """The key of a terminal."""
    return Owner(name, f"kid of {name}", {}, CURRENT, "active", "mains", None)


def known(cache: BearerCache, *headers: bytes) -> list[bool]:
    """Which of them the cache would let in."""
    return [cache.get(header, NOW) is not None for header in headers]


class TestRemembering:
    def test_a_bearer_is_remembered_until_it_ends(self) -> None:
        cache = BearerCache()
        put(cache, b"good")
        put(cache, b"over", "b", NOW - 60)
        assert known(cache, b"good", b"over", b"never") == [True, False, False]

    def test_bearers_of_one_terminal_share_what_is_known_of_it(self) -> None:
        cache = BearerCache()
        assert put(cache, b"one").caller is put(cache, b"two").caller

    def test_a_terminal_is_remembered_by_its_four_newest_bearers(self) -> None:
        cache, headers = BearerCache(), [b"%d" % number for number in range(6)]
        for header in headers:
            put(cache, header)
        assert known(cache, *headers) == [False, False, True, True, True, True] and len(cache) == 4

    def test_the_oldest_goes_when_it_is_full(self) -> None:
        cache = BearerCache(capacity=2)
        for name in ("a", "b", "c"):
            put(cache, name.encode(), name)
        assert known(cache, b"a", b"b", b"c") == [False, True, True]

    def test_the_key_of_a_known_terminal_need_not_be_looked_up(self) -> None:
        cache = BearerCache()
        put(cache, b"one")
        assert cache.owner("kid of a") == owner("a") and cache.owner("kid of b") is None


class TestForgetting:
    def test_everything_of_a_terminal_goes_at_once(self) -> None:
        cache = BearerCache()
        put(cache, b"one")
        put(cache, b"two")
        put(cache, b"other", "b")
        cache.evict("a")
        assert known(cache, b"one", b"two", b"other") == [False, False, True]
        assert cache.owner("kid of a") is None and cache.owner("kid of b") is not None

    def test_who_is_not_known_can_be_forgotten_as_well(self) -> None:
        BearerCache().evict("nobody")

    def test_what_was_looked_up_before_an_eviction_is_not_remembered_after_it(self) -> None:
        cache = BearerCache()
        age = cache.age
        cache.evict("a")
        assert put(cache, b"late", age=age).caller.terminal_id == "a"
        assert known(cache, b"late") == [False]

    def test_after_a_gap_nothing_is_known_any_more(self) -> None:
        cache = BearerCache()
        put(cache, b"one")
        cache.note_stranger(b"who?")
        cache.clear()
        assert known(cache, b"one") == [False] and not cache.is_stranger(b"who?")


class TestStrangers:
    def test_a_stranger_is_known_as_such_for_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cache = BearerCache()
        cache.note_stranger(b"who?")
        assert cache.is_stranger(b"who?") and not cache.is_stranger(b"other")
        monkeypatch.setattr(bearers, "STRANGER_S", -1)
        cache.note_stranger(b"long ago")
        assert not cache.is_stranger(b"long ago")

    def test_there_is_an_end_to_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bearers, "STRANGERS", 3)
        cache = BearerCache()
        for number in range(9):
            cache.note_stranger(b"%d" % number)
        assert [cache.is_stranger(b"%d" % number) for number in range(9)] == [False] * 6 + [True] * 3

    def test_who_pairs_is_no_stranger_any_more(self) -> None:
        cache = BearerCache()
        cache.note_stranger(b"new")
        cache.evict("whoever")
        assert not cache.is_stranger(b"new")
