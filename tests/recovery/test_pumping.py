"""A long attack on the texts: phones, shops, addresses and countries vary, and a gateway counts (T15).

REKEY_THOROUGH=1 makes it 10,000 requests. Half a second of the clock passes with each.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import time_machine
from django.conf import LazySettings
from django.test import override_settings
from django.utils import timezone

from portal import conversion
from portal.messaging import outbox
from portal.messaging.gateways import Accepted, Parcel
from portal.models import Allowance, Circuit, Merchant, Message
from recovery import flow
from recovery.binding import new_token
from recovery.models import Ticket
from tests.cast import make_merchant

pytestmark = pytest.mark.django_db
THOROUGH = bool(os.environ.get("REKEY_THOROUGH"))
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SHOPS, ADDRESSES, ABROAD_CAP = 100, 500, 20


@dataclass
class Counting:
    """A gateway that carries nothing and notes when and where to."""

    name: str = "counting"
    sent: list[tuple[float, str]] = field(default_factory=list)

    def send(self, parcel: Parcel) -> Accepted:
        self.sent.append((timezone.now().timestamp(), parcel.to))
        return Accepted(f"id-{len(self.sent)}")


def shop(number: int) -> Merchant:
    """Nine in ten at home, five to a block of numbers; the others in a country that was opted into."""
    phone = f"+852512{number:05}" if number % 10 == 0 else f"+86138{number // 5:04}{number:04}"
    return make_merchant(number=f"8984401582{number:05}", phone=phone)


def attack(dice: random.Random, shops: list[Merchant]) -> None:
    """One request: mostly a shop and its phone, else a stranger or a country that is shut."""
    merchant = dice.choice(shops)
    phone = dice.choices([merchant.phone, "+8613900001111", "+18765550000"], [8, 1, 1])[0]
    asked = flow.Asked(
        identifier=merchant.number, phone=phone, locale="zh-hans", block=f"10.{dice.randrange(ADDRESSES)}"
    )
    recovery = flow.start(asked, new_token())
    flow.resolve(recovery.id)
    for message_id in Message.objects.filter(state="queued").values_list("id", flat=True):
        outbox.deliver(message_id)


def most(keys: Counter[object]) -> int:
    return max(keys.values(), default=0)


@dataclass
class Run:
    """What an attack came to: texts with their moments, and when they were stopped."""

    gateway: Counting
    stopped_at: float = 0.0
    sent_until_then: int = 0


def run(requests: int, gateway: Counting, *, breaker: bool) -> Run:
    """So many requests, half a second apart; every two seconds the breaker judges, if there is one."""
    dice, shops, seen = random.Random(15), [shop(number) for number in range(1, SHOPS + 1)], Run(gateway)
    with time_machine.travel(NOON, tick=False) as clock:
        for number in range(requests):
            attack(dice, shops)
            clock.shift(0.5)
            if not breaker or number % 4 != 3:
                continue
            conversion.judge(timezone.now())
            if not seen.stopped_at and Circuit.objects.filter(stopped_at__isnull=False).exists():
                seen.stopped_at, seen.sent_until_then = timezone.now().timestamp(), len(gateway.sent)
    return seen


@pytest.fixture
def gateway(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Counting:
    settings.REKEY_DIAL_CODES = {"852": str(ABROAD_CAP)}
    made = Counting()
    monkeypatch.setattr(outbox, "gateway", lambda channel, name: made)
    return made


@pytest.mark.parametrize(
    ("breaker", "money", "requests"),
    [(True, 60_000, 1_500), (False, 60_000, 800), (False, 20_000, 400)],
    ids=["breaker", "no breaker", "little money"],
)
def test_T15_ten_thousand_requests_stay_within_every_limit(
    breaker: bool, money: int, requests: int, gateway: Counting, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = 10_000 if THOROUGH else requests
    with override_settings(REKEY_LIMITS={"text-money-overall": f"{money}/day"}):
        seen = run(requests, gateway, breaker=breaker)
    times = [moment for moment, _ in gateway.sent]
    phones = [phone for _, phone in gateway.sent]
    assert most(Counter(phones)) <= 5
    assert most(Counter((phone[:-4], int(at) // 3600) for at, phone in gateway.sent)) <= 30
    assert most(Counter(int(at) // 3600 for at in times)) <= 300
    assert sum(phone.startswith("+852") for phone in phones) <= ABROAD_CAP
    assert not any(phone.startswith("+1") or phone == "+8613900001111" for phone in phones)
    cost = sum(1000 if phone.startswith("+852") else 45 for phone in phones)
    assert cost == Allowance.objects.get(limit="text-money-overall").taken <= money * 0.8
    waited = seen.stopped_at - times[99] if seen.stopped_at else None
    with capsys.disabled():
        print(
            f"\n{requests} requests, breaker {breaker}: {len(phones)} texts, {cost} of {money} spent", end=""
        )
        print(f", stopped {waited:.0f} s after the hundredth" if waited is not None else "")
    assert breaker == (waited is not None)
    if waited is not None:
        assert waited <= 60
        pauses = int((requests / 2 - (seen.stopped_at - NOON.timestamp())) // 600)
        assert len(phones) - seen.sent_until_then <= 10 * pauses
        assert Ticket.objects.filter(step="guard").exists()
