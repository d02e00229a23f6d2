"""Limits to the unit: costs, what is looked at and given back, days that slide, and what is swept when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from django.conf import LazySettings
from limits import parse
from time_machine import Traveller

from portal.limits import (
    TooMany,
    give_back,
    look,
    shield,
    shielded,
    spend,
    strict,
    sweep_allowances,
    take,
    tallied,
    tally,
)
from portal.models import Allowance

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MIDNIGHT = NOON.timestamp() - 43_200
DAY = 86_400
SLIDING = "wrong-codes-per-phone"  # fifty in thirty days


@pytest.fixture
def clock() -> Iterator[Traveller]:
    with time_machine.travel(NOON, tick=False) as moved:
        yield moved


@pytest.mark.parametrize("asked", [(take, {"amount": 10}), (look, {"amount": 10}), (take, {}), (look, {})])
def test_a_cost_is_taken_whole_or_not_at_all(
    asked: tuple[object, dict[str, int]], settings: LazySettings
) -> None:
    settings.REKEY_LIMITS = {"sms-overall": "10/hour"}
    ask, more = asked
    assert callable(ask)
    for cost, passes in ((11, False), (4, True), (4, True), (3, False), (2, True), (1, False)):
        assert ask("sms-overall", "", cost=cost, **more).ok is passes, cost
        if ask is look and passes:
            take("sms-overall", "", cost=cost, **more)
    assert Allowance.objects.get().taken == 10


def test_another_amount_stands_in_for_the_rates_own() -> None:
    assert [take("sms-per-phone", "a", amount=2).ok for _ in range(3)] == [True, True, False]
    assert not look("sms-per-phone", "a", amount=2).ok
    assert look("sms-per-phone", "a").ok
    assert not look("sms-per-phone", "b", cost=1, amount=0).ok


def test_looking_counts_nothing_and_tells_when_the_window_ends(clock: Traveller) -> None:
    for _ in range(5):
        assert look("sms-per-phone", "a").ok
        take("sms-per-phone", "a")
    for _ in range(2):
        assert (look("sms-per-phone", "a").ok, look("sms-per-phone", "a").resets_in) == (False, DAY // 2)
    assert look("sms-per-phone", "b").ok and look("sms-per-source", "a").ok
    clock.shift(DAY // 2 - 1)
    assert take("sms-per-phone", "a").resets_in == 1
    clock.shift(1)
    assert (take("sms-per-phone", "a").ok, take("sms-per-phone", "a").resets_in) == (True, DAY)
    assert Allowance.objects.values_list("window_start", "taken").order_by("pk")[0] == (MIDNIGHT, 5)


def test_spending_says_nothing_until_there_is_nothing_left(clock: Traveller) -> None:
    for _ in range(3):
        spend("tickets-per-phone", "a")
    with pytest.raises(TooMany) as refused:
        spend("tickets-per-phone", "a")
    assert (refused.value.resets_in, refused.value.args) == (DAY // 2, (DAY // 2,))


def test_what_is_given_back_can_be_taken_once_more_and_there_is_never_more_than_all() -> None:
    give_back("tickets-per-phone", "a")
    for _ in range(3):
        spend("tickets-per-phone", "a")
        spend("tickets-per-phone", "b")
    give_back("tickets-per-phone", "a")
    assert [take("tickets-per-phone", key).ok for key in "aab"] == [True, False, False]
    for _ in range(5):
        give_back("tickets-per-phone", "a")
    assert [take("tickets-per-phone", "a").ok for _ in range(4)] == [True] * 3 + [False]


def test_what_happened_counts_for_thirty_days_and_the_rest_of_the_one_it_happened_on(
    clock: Traveller,
) -> None:
    assert tallied(SLIDING, "a") == 0
    assert [tally(SLIDING, "a") for _ in range(3)] == [1, 2, 3]
    assert (tally(SLIDING, "b"), tallied(SLIDING, "a")) == (1, 3)
    assert Allowance.objects.values_list("window_start", flat=True)[0] == MIDNIGHT
    clock.shift(10 * DAY)
    assert tally(SLIDING, "a") == 4
    clock.shift(20 * DAY + DAY // 2 - 1)
    assert tallied(SLIDING, "a") == 4
    clock.shift(1)
    assert tallied(SLIDING, "a") == 1
    Allowance.objects.update(limit="sms-per-phone")
    assert tallied(SLIDING, "a") == 0


def test_old_windows_are_swept_after_three_days_and_sliding_ones_when_they_count_no_more(
    clock: Traveller,
) -> None:
    take("sms-per-phone", "a")
    tally(SLIDING, "a")
    noon = NOON.timestamp()
    for days, swept, left in ((3, 0, 2), (3.5, 1, 1), (30.5, 0, 1), (31, 0, 1), (31.5, 1, 0)):
        assert (
            sweep_allowances(noon + days * DAY - DAY // 2 + (days % 1 > 0)),
            Allowance.objects.count(),
        ) == (
            swept,
            left,
        ), days


def test_asking_a_shield_costs_nothing_and_tells_what_a_hit_would_be_told() -> None:
    for _ in range(5):
        assert not shielded("support", "203.0.113.0/24")
        assert not shielded("support", "203.0.113.0/24")
        assert shield("support", "203.0.113.0/24").ok
    assert shielded("support", "203.0.113.0/24") is True
    assert not shielded("support", "198.51.100.0/24")
    assert not shielded("veto", "203.0.113.0/24")


def test_a_shield_that_allows_names_no_wait() -> None:
    assert shield("support", "203.0.113.0/24").resets_in == 0


def test_without_an_address_a_quarter_is_asked_for_as_well_as_hit() -> None:
    assert shield("support", "unknown").ok
    assert shielded("support", "unknown")
    assert not shield("support", "unknown").ok


@pytest.mark.parametrize(("amount", "quarter"), [(1, 1), (3, 1), (7, 1), (8, 2), (100, 25)])
def test_strict_is_a_quarter_of_the_same_time_and_one_at_least(amount: int, quarter: int) -> None:
    assert strict(parse(f"{amount}/3 hour")) == parse(f"{quarter}/3 hour")
