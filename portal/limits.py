"""Named limits: exact ones in the database for money and secrets, coarse ones in Redis per address (D12)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

import structlog
from django.conf import settings
from django.db.models import F, Sum
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.retry import Retry

from portal.models import Allowance
from portal.network import UNKNOWN
from portal.secrets import keyed_digest

log = structlog.get_logger(__name__)
SHIELD_TIMEOUT_S = 0.4
SHIELD_PAUSE_S = 10.0
DAY_S = 86400
KEEP_WINDOWS_S = 3 * DAY_S

# Counted in the database; whoever cannot count does not pass.
GUARDS = {
    "sms-per-phone": "5/day",
    "sms-per-merchant": "10/day",
    "sms-per-block": "30/hour",
    "sms-per-address": "20/hour",
    "sms-per-dial-code": "5000/day",
    "sms-overall": "300/hour",
    "text-money-overall": "300000/day",
    "sms-per-source": "5/day",
    "sms-from-sources": "300/hour",
    "mail-per-mailbox": "10/day",
    "mail-overall": "600/hour",
    "sign-in-sms-per-phone": "20/day",
    "password-per-account": "60/hour",
    "password-per-account-and-address": "10/hour",
    "second-factor-per-account": "20/hour",
    "invitations-per-merchant": "5/day",
    "entry-per-account": "10/hour",
    "pairing-overall": "200/hour",
    "tickets-per-phone": "3/day",
    "words-per-ticket": "20/day",
    "answers-told-per-ticket": "3/day",
    "photos-per-ticket": "10/day",
    "resets-per-agent": "20/day",
    "case-texts-per-agent": "20/day",
    "recoveries-per-terminal": "3/hour",
    "key-rolls-per-terminal": "50/day",
    "offline-misses-per-terminal": "5/day",
    "offline-answers-per-terminal": "3/day",
    "wrong-codes-per-phone": "50/30 day",
    "wrong-codes-overall": "10000/day",
    "test-messages-per-staff": "10/day",
    "alarms-per-kind": "1/day",
    "anomalies-per-matter": "1/hour",
    "puzzle-answers": "1/day",
    "veto-misses-overall": "10000/day",
}
# Counted day by day and summed over their length, so that no border between windows helps.
SLIDING = frozenset({"wrong-codes-per-phone"})
# Counted in Redis per address block; when Redis is away, in this process at a quarter of the rate.
SHIELDS = {
    "identify": "10/hour",
    "starts-without-puzzle": "3/hour",
    "starts-by-waiting": "6/hour",
    "user-code": "20/hour",
    "code": "60/hour",
    "sign-in": "30/hour",
    "entry": "20/hour",
    "support": "5/hour",
    "caller": "20/hour",
    "follow": "20/hour",
    "directory": "60/hour",
    "veto": "20/hour",
    "not-me": "10/hour",
    "pairing": "20/hour",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether it was allowed, and in how many seconds the window ends (a shield says 0 while it allows)."""

    ok: bool
    resets_in: int


def rate_of(name: str) -> RateLimitItem:
    """The rate in force under this name: the deployment's, else ours. Raises KeyError for an unknown name."""
    return parse(settings.REKEY_LIMITS.get(name) or (GUARDS | SHIELDS)[name])


def take(name: str, key: str, *, cost: int = 1, amount: int | None = None) -> Taken:
    """Spend one of the guard `name` for `key`, exactly: n callers at once get n − limit refusals.

    Or `cost` of it, all or nothing; `amount` stands in for the rate's own.
    The key is kept as a keyed digest. Called outside a transaction, as everything that guards a secret does,
    the count survives whatever becomes of the caller's request.
    """
    rate = rate_of(name)
    row, resets_in = _window(name, key, int(rate.get_expiry()))
    Allowance.objects.bulk_create([Allowance(**row)], ignore_conflicts=True)
    most = (rate.amount if amount is None else amount) - cost
    taken = Allowance.objects.filter(**row, taken__lte=most).update(taken=F("taken") + cost)
    return Taken(taken == 1, resets_in)


def look(name: str, key: str, *, cost: int = 1, amount: int | None = None) -> Taken:
    """Whether `take` would allow it; nothing is counted."""
    rate = rate_of(name)
    row, resets_in = _window(name, key, int(rate.get_expiry()))
    most = (rate.amount if amount is None else amount) - cost
    spent = most < 0 or Allowance.objects.filter(**row, taken__gt=most).exists()
    return Taken(not spent, resets_in)


def tally(name: str, key: str) -> int:
    """Count one that has happened; how many there were in the last days, today among them.

    For limits in SLIDING: a span of n days touches n + 1 of the calendar, and all of them are summed.
    """
    row, _ = _window(name, key, DAY_S)
    Allowance.objects.bulk_create([Allowance(**row)], ignore_conflicts=True)
    Allowance.objects.filter(**row).update(taken=F("taken") + 1)
    return tallied(name, key)


def tallied(name: str, key: str) -> int:
    """How many of a limit in SLIDING there were in the last days; nothing is counted."""
    row, _ = _window(name, key, DAY_S)
    since = row["window_start"] - int(rate_of(name).get_expiry())
    days = Allowance.objects.filter(limit=name, key_digest=row["key_digest"], window_start__gte=since)
    return int(days.aggregate(sum=Sum("taken"))["sum"] or 0)


def _window(name: str, key: str, window: int) -> tuple[dict[str, Any], int]:
    """The counter in force now, as a row, and in how many seconds it ends."""
    now = int(time.time())
    start = now - now % window
    row = {"limit": name, "key_digest": keyed_digest("limit", name, key), "window_start": start}
    return row, start + window - now


class TooMany(Exception):
    """A guard is used up. `resets_in` is in seconds; the edge turns it into a 429."""

    def __init__(self, resets_in: int) -> None:
        super().__init__(resets_in)
        self.resets_in = resets_in


def spend(name: str, key: str) -> None:
    """Like `take`, but raises TooMany when nothing is left."""
    taken = take(name, key)
    if not taken.ok:
        raise TooMany(taken.resets_in)


def give_back(name: str, key: str) -> None:
    """Return what was taken of a guard that counts failures only: this one was none."""
    row, _ = _window(name, key, int(rate_of(name).get_expiry()))
    Allowance.objects.filter(**row, taken__gt=0).update(taken=F("taken") - 1)


def sweep_allowances(now: float) -> int:
    """Forget windows that are over; returns how many counters went."""
    gone = Allowance.objects.filter(window_start__lt=int(now) - KEEP_WINDOWS_S)
    swept = gone.exclude(limit__in=SLIDING).delete()[0]
    for name in SLIDING:
        length = int(rate_of(name).get_expiry())
        swept += gone.filter(limit=name, window_start__lt=int(now) - length - DAY_S).delete()[0]
    return swept


Question = Callable[..., Taken]


class Shield:
    """Windows in Redis, failing to strict ones in this process without making anybody wait."""

    def __init__(self, url: str) -> None:
        pool = ConnectionPool.from_url(
            url,
            socket_timeout=SHIELD_TIMEOUT_S,
            socket_connect_timeout=SHIELD_TIMEOUT_S,
            # The client's own default tries three times more, with pauses.
            retry=Retry(NoBackoff(), 0),
        )
        storage = RedisStorage("redis://", connection_pool=pool, key_prefix="rekey:limits")
        self._redis = FixedWindowRateLimiter(storage)
        self._memory = FixedWindowRateLimiter(MemoryStorage())
        self._away_until = 0.0

    def hit(self, rate: RateLimitItem, name: str, digest: str) -> Taken:
        """Count one; whether it is within the rate, and if not, in how many seconds the window ends.

        A window begins with its first hit.
        """
        return self._ask(_hit, rate, name, digest)

    def stands(self, rate: RateLimitItem, name: str, digest: str) -> bool:
        """Whether one more would be within the rate; nothing is counted."""
        return self._ask(_stands, rate, name, digest).ok

    def _ask(self, question: Question, rate: RateLimitItem, name: str, digest: str) -> Taken:
        if time.monotonic() >= self._away_until:
            try:
                return question(self._redis, rate, name, digest)
            except Exception as error:  # noqa: BLE001 - any storage failure means: count here, strictly
                self._away_until = time.monotonic() + SHIELD_PAUSE_S
                log.warning("shield_away", error=type(error).__name__)
        return question(self._memory, strict(rate), name, digest)


def _hit(counter: FixedWindowRateLimiter, rate: RateLimitItem, *key: str) -> Taken:
    if counter.hit(rate, *key):
        return Taken(True, 0)
    ends = counter.get_window_stats(rate, *key).reset_time
    # Redis rounds what is left to whole seconds, down as well as up.
    return Taken(False, max(0, ceil(ends - time.time())) + 1)


def _stands(counter: FixedWindowRateLimiter, rate: RateLimitItem, *key: str) -> Taken:
    return Taken(counter.test(rate, *key), 0)


def strict(rate: RateLimitItem) -> RateLimitItem:
    """A quarter of the rate, at least one."""
    return type(rate)(max(1, rate.amount // 4), rate.multiples)


@lru_cache(maxsize=4)
def _shield(url: str) -> Shield:
    return Shield(url)


def shield(name: str, block: str) -> Taken:
    """Count one request of an address block against a coarse shield; the block is kept as a keyed digest.

    Callers whose address cannot be told share one bucket, a strict one.
    """
    rate = strict(rate_of(name)) if block == UNKNOWN else rate_of(name)
    return _shield(settings.REDIS_URL).hit(rate, name, keyed_digest("shield", name, block))


def shielded(name: str, block: str) -> bool:
    """Whether a shield that counts failures only is used up for this block; asking costs nothing."""
    rate = strict(rate_of(name)) if block == UNKNOWN else rate_of(name)
    return not _shield(settings.REDIS_URL).stands(rate, name, keyed_digest("shield", name, block))
