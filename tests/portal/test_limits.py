"""Limits: exact where they guard money and secrets, quick and strict where they are a shield (D12)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
import time_machine
from django.conf import LazySettings

from portal import limits, redis_server
from portal.limits import GUARDS, SHIELDS, TooMany, rate_of, shield, spend, sweep_allowances, take
from portal.models import Allowance
from tests.portal.parallel import in_parallel

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", [*GUARDS, *SHIELDS])
def test_every_named_limit_is_a_rate(name: str) -> None:
    assert rate_of(name).amount > 0


def test_a_limit_without_a_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        rate_of("no-such-limit")


# ── guards ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_a_guard_lets_its_number_pass_and_says_when_it_opens_again() -> None:
    with time_machine.travel(NOON, tick=False):
        taken = [take("sms-per-phone", "+8613800002046") for _ in range(7)]
    assert [one.ok for one in taken] == [True] * 5 + [False] * 2
    assert taken[-1].resets_in == 12 * 3600


@pytest.mark.django_db
def test_keys_and_names_do_not_share_a_count() -> None:
    for _ in range(5):
        assert take("sms-per-phone", "one").ok
    assert take("sms-per-phone", "two").ok
    assert take("sms-per-merchant", "one").ok
    assert not take("sms-per-phone", "one").ok


@pytest.mark.django_db
def test_a_new_window_starts_afresh_and_old_ones_are_swept() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(5):
            take("sms-per-phone", "one")
        clock.shift(86_400)
        assert take("sms-per-phone", "one").ok
        clock.shift(2.4 * 86_400)
        assert sweep_allowances(time.time()) == 1
    assert Allowance.objects.count() == 1


@pytest.mark.django_db
def test_a_spent_guard_raises_with_the_time(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"sms-overall": "1/hour"}
    spend("sms-overall", "all")
    with pytest.raises(TooMany) as refused:
        spend("sms-overall", "all")
    assert 0 < refused.value.resets_in <= 3600


@pytest.mark.django_db
def test_the_table_does_not_tell_whom_it_counts() -> None:
    take("sms-per-phone", "+8613800002046")
    assert "13800002046" not in repr(Allowance.objects.values())


@pytest.mark.django_db(transaction=True)
def test_forty_at_once_are_counted_exactly() -> None:
    taken = in_parallel(40, lambda: take("sms-per-merchant", "m"), width=20)
    assert sum(one.ok for one in taken) == 10


# ── shields ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def own_redis(settings: LazySettings, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server of this test's own, to stop and to kill."""
    process = redis_server.start(tmp_path, tmp_path / "redis.log")
    redis_server.wait_until_ready(tmp_path, process)
    settings.REDIS_URL = redis_server.redis_url(tmp_path)
    yield process
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


def test_a_shield_counts_per_block(redis_client: redis.Redis) -> None:
    assert [shield("support", "203.0.113.0/24").ok for _ in range(6)] == [True] * 5 + [False]
    assert shield("support", "198.51.100.0/24").ok


def test_the_server_does_not_learn_the_block(redis_client: redis.Redis) -> None:
    shield("identify", "203.0.113.0/24")
    keys = redis_client.keys("*")
    assert keys
    assert all(b"203.0.113" not in key for key in keys)


def test_callers_without_an_address_share_a_strict_bucket() -> None:
    assert [shield("identify", "unknown").ok for _ in range(3)] == [True, True, False]


def test_the_wait_that_is_told_is_the_true_one(redis_client: redis.Redis, settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"support": "2/hour"}
    for _ in range(2):
        assert shield("support", "203.0.113.0/24").ok
    name = next(key for key in redis_client.keys("rekey:limits*"))
    redis_client.expire(name, 1500)
    told = shield("support", "203.0.113.0/24")
    assert not told.ok
    assert 1500 <= told.resets_in <= 1502


def test_after_the_wait_that_was_told_it_is_open(redis_client: redis.Redis, settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"support": "1/2second"}
    assert shield("support", "203.0.113.0/24").ok
    told = shield("support", "203.0.113.0/24")
    assert (told.ok, told.resets_in <= 3) == (False, True)
    time.sleep(told.resets_in)
    assert shield("support", "203.0.113.0/24").ok


def test_the_wait_is_true_without_the_server_too(own_redis: subprocess.Popen[bytes]) -> None:
    own_redis.kill()
    own_redis.wait()
    begun = time.time()
    told = [shield("pairing", "203.0.113.0/24") for _ in range(6)][-1]
    assert not told.ok
    assert begun + 3600 <= time.time() + told.resets_in <= begun + 3603


def hammer(times: int) -> tuple[list[bool], list[float]]:
    passed, took = [], []
    for _ in range(times):
        begun = time.monotonic()
        passed.append(shield("pairing", "203.0.113.0/24").ok)
        took.append(time.monotonic() - begun)
    return passed, took


def test_a_hung_server_costs_half_a_second_once_and_the_limit_gets_stricter(
    own_redis: subprocess.Popen[bytes],
) -> None:
    assert shield("pairing", "203.0.113.0/24").ok
    os.kill(own_redis.pid, signal.SIGSTOP)
    passed, took = hammer(12)
    assert passed == [True] * 5 + [False] * 7, "a quarter of 20"
    assert took[0] <= 0.5
    assert sum(one > 0.3 for one in took) == 1, "only the first one waits"


def test_a_dead_server_costs_nothing(own_redis: subprocess.Popen[bytes]) -> None:
    own_redis.kill()
    own_redis.wait()
    passed, took = hammer(8)
    assert sum(passed) == 5
    assert max(took) < 0.3


def test_it_goes_back_to_the_server_when_the_pause_is_over(
    own_redis: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SHIELD_PAUSE_S", 0.05)
    os.kill(own_redis.pid, signal.SIGSTOP)
    hammer(6)
    os.kill(own_redis.pid, signal.SIGCONT)
    time.sleep(0.06)
    passed, _ = hammer(20)
    assert sum(passed) >= 19
