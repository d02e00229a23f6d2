"""A siege: thousands of hostile requests, four at a time, against two gateways that count (T15, T16).

Phones, shops, addresses and countries vary; some begin, some ask again, ask for calls, or guess. A second of
the clock passes with each four. `python -m tests.hostile` makes it 10,000 and prints what came of it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import time_machine
from django.conf import LazySettings
from django.utils import timezone

from portal import conversion
from portal.models import Circuit, Merchant, Message
from recovery.models import Recovery
from tests.cast import PairedTill, make_merchant, make_store, make_terminal, pair_on_paper
from tests.hostile.siege import SHUT, STRANGERS, Siege
from tests.messaging import aliyun_standin, twilio_standin
from tests.messaging.aliyun_standin import AliyunStandIn
from tests.messaging.twilio_standin import TwilioStandIn
from tests.recovery.test_locking_out import recovers, recovers_at_till
from tests.recovery.visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
REQUESTS = 10_000 if os.environ.get("REKEY_THOROUGH") else 480
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OWNERS, SHOPS, ABROAD_CAP = 10, 90, 20
EVERY_S = 2  # how often the beat has the breaker judge


@dataclass
class Gateways:
    """Aliyun for texts at home, Twilio for those abroad and for calls; both over HTTP."""

    aliyun: AliyunStandIn
    twilio: TwilioStandIn

    def carried(self) -> list[str]:
        """The number behind everything that either of them took, texts and calls."""
        home = ["+86" + one["PhoneNumbers"] for one in self.aliyun.accepted]
        return home + [one["To"] for one in self.twilio.accepted]


@pytest.fixture
def gateways(settings: LazySettings) -> Iterator[Gateways]:
    settings.REKEY_DIAL_CODES = {"852": str(ABROAD_CAP)}
    settings.SMS_GATEWAY = settings.VOICE_GATEWAY = "twilio"
    settings.SMS_ROUTES = {"86": "aliyun"}
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = twilio_standin.SID, twilio_standin.TOKEN
    settings.TWILIO_FROM = settings.TWILIO_VOICE_FROM = twilio_standin.SENDER
    settings.ALIYUN_ACCESS_KEY_ID = aliyun_standin.KEY_ID
    settings.ALIYUN_ACCESS_KEY_SECRET = aliyun_standin.KEY_SECRET
    settings.ALIYUN_SIGN_NAME, settings.ALIYUN_TEMPLATES = aliyun_standin.SIGN_NAME, aliyun_standin.TEMPLATES
    with AliyunStandIn() as aliyun, TwilioStandIn() as twilio:
        settings.ALIYUN_ENDPOINT, settings.TWILIO_API_BASE = aliyun.base, twilio.base
        yield Gateways(aliyun, twilio)


def shop(number: int) -> PairedTill:
    """Nine in ten at home, five to a block of numbers; the others in a country that was opted into."""
    phone = f"+852512{number:05}" if number % 10 == 0 else f"+86138{number // 5:04}{number:04}"
    merchant = make_merchant(number=f"8984401582{number:05}", phone=phone)
    return pair_on_paper(make_terminal(store=make_store(merchant, f"店{number}")))


def known(till: PairedTill, number: int) -> Visitor:
    """A browser from which this shop has recovered on a quiet day."""
    visitor = Visitor()
    visitor.client.defaults["REMOTE_ADDR"] = f"192.168.{number}.1"
    merchant = till.terminal.store.merchant
    visitor.identify(shop=merchant.number, phone=merchant.phone)
    visitor.worker()
    visitor.post("code", code=visitor.code)
    return visitor


def overspent(gateways: Gateways) -> dict[str, int]:
    """How many messages went beyond each limit, counted where they arrived."""
    phones = gateways.carried()
    rows = Message.objects.filter(known_source=False, template="code").exclude(provider_id="")
    by = {one.challenge_id: one for one in Recovery.objects.all()}
    asked = [by[str(row.challenge_id)] for row in rows]
    counts = {
        "phone": max(Counter(one.phone for one in asked).values()) - 5,
        "merchant": max(Counter(one.identifier for one in asked).values()) - 10,
        "number block": max(Counter(one.phone[:-4] for one in asked).values()) - 30,
        "address": max(Counter(one.address_block for one in asked).values()) - 20,
        "everybody": len(asked) - 300,
        "dial code": sum(phone.startswith("+852") for phone in phones) - ABROAD_CAP,
        "shut or unknown": sum(phone in (SHUT, STRANGERS) for phone in phones),
        "twice": len(phones) - Message.objects.exclude(provider_id="").count(),
    }
    return {name: max(0, count) for name, count in counts.items()}


@dataclass
class Stop:
    """When the hundredth text was carried, and when the breaker stopped them."""

    hundredth: float = 0.0
    stopped: float = 0.0

    def watch(self, siege: Siege, gateways: Gateways) -> None:
        """One wave, one second, and the breaker's turn."""
        siege.wave()
        now = timezone.now().timestamp()
        if not self.hundredth and len(gateways.carried()) >= conversion.SAMPLE:
            self.hundredth = now
        if int(now) % EVERY_S == 0:
            conversion.judge(timezone.now())
        if not self.stopped and Circuit.objects.filter(stopped_at__isnull=False).exists():
            self.stopped = now


def get_in(browsers: list[Visitor], tills: list[PairedTill], siege: Siege) -> tuple[int, int]:
    """Thirty times from known browsers, twenty times at tills, a wave of the siege before each."""
    known_ones, at_till = 0, 0
    for turn in range(3):
        for browser, till in zip(browsers, tills, strict=True):
            siege.wave()
            browser.client.defaults["REMOTE_ADDR"] = "10.0.7.7"
            known_ones += recovers(browser, till)
            at_till += turn < 2 and recovers_at_till(till)
    siege.work()
    return known_ones, at_till


def test_T15_T16_a_siege_costs_no_more_than_the_limits_and_locks_no_owner_out(
    gateways: Gateways, capsys: pytest.CaptureFixture[str]
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        tills = [shop(number) for number in range(1, OWNERS + SHOPS + 1)]
        owners = [till for till in tills if till.terminal.store.merchant.phone.startswith("+86")][:OWNERS]
        browsers = [known(till, number) for number, till in enumerate(owners)]
        clock.shift(60)
        siege, stop = Siege(list(Merchant.objects.all()), seed=1510), Stop()
        while siege.sent < REQUESTS:
            stop.watch(siege, gateways)
            clock.shift(1)
        siege.work()
        spent = overspent(gateways)
        got_in = get_in(browsers, owners, siege)
        siege.end()
    with capsys.disabled():
        print(f"\n{siege.sent} requests: {len(gateways.carried())} messages, {json.dumps(spent)} too many")
        print(f"stopped {stop.stopped - stop.hundredth:.0f} s after the hundredth; got in {got_in}")
        print(dict(siege.answers))
    assert sum(spent.values()) <= 1
    assert 0 < stop.stopped - stop.hundredth <= 60
    assert got_in == (30, 20)
