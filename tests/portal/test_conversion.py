"""The breaker for texts: opens when codes are not typed back, tries again, and closes by itself (T15)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone
from time_machine import Traveller

from portal import conversion, texting
from portal.models import AuditEvent, Challenge, Circuit, Message
from portal.texting import Ask
from recovery.models import Ticket
from terminals import requests
from tests.cast import make_merchant
from tests.portal.parallel import in_parallel
from tests.recovery.visitor import Visitor, make_shop, texts_to

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[Traveller]:
    with time_machine.travel(NOON, tick=False) as moved:
        yield moved


def sent(times: int, *, typed: bool = False, known: bool = False, state: str = "sent") -> None:
    now = timezone.now()
    for _ in range(times):
        challenge = Challenge.objects.create(
            purpose="recovery", phone="+8613800000000", expires_at=now, used_at=now if typed else None
        )
        Message.objects.create(
            template="code", phone=challenge.phone, challenge=challenge, state=state, known_source=known
        )


def judge() -> bool:
    conversion.judge(timezone.now())
    return not texting.stopped()


def ask(number: int = 0, source: str = "") -> str:
    return texting.refusal(Ask(f"+861380{number:07}", f"10.0.{number}.0/24", make_merchant(), source))


def stop(clock: Traveller) -> None:
    sent(100)
    clock.shift(46)
    assert not judge()


def test_T15_under_thirty_of_a_hundred_stops_texts_within_a_minute(clock: Traveller) -> None:
    sent(71)
    sent(29, typed=True)
    assert judge(), "nobody has had the time to type"
    clock.shift(46)
    assert not judge()
    assert AuditEvent.objects.get(tag="portal:texts:stopped").facts == {"sent": 100, "typed_back": 29}
    assert Ticket.objects.get().step == "guard"


def test_T15_thirty_of_a_hundred_are_enough(clock: Traveller) -> None:
    sent(70)
    sent(30, typed=True)
    clock.shift(46)
    assert judge()


def test_T15_ninety_nine_say_nothing_yet_and_what_was_never_sent_nothing_at_all(clock: Traveller) -> None:
    sent(99)
    sent(20, state="failed")
    sent(20, known=True)
    clock.shift(46)
    assert judge()


def test_T15_nothing_goes_out_while_it_is_stopped_but_for_a_terminal(clock: Traveller) -> None:
    stop(clock)
    assert {ask(number) for number in range(5)} == {"texts-stopped"}
    assert ask(source="terminal:trm_1") == ""


@pytest.mark.django_db(transaction=True)
def test_T15_of_forty_at_once_ten_trials_pass_after_the_pause() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        stop(clock)
        clock.shift(600)
        passed = in_parallel(40, lambda: conversion.take(timezone.now()), width=10)
        assert sum(passed) == 10
        assert texting.stopped()


def test_T15_three_trials_typed_back_and_texts_go_on(clock: Traveller) -> None:
    stop(clock)
    clock.shift(600)
    assert [ask(number) for number in range(5)] == [""] * 5
    sent(3, typed=True)
    clock.shift(2)
    assert judge()
    assert Circuit.objects.get().stopped_at is None
    clock.shift(120)
    assert judge(), "what was before does not count again"
    assert AuditEvent.objects.filter(tag="portal:texts:resumed").count() == 1


def test_T15_trials_that_nobody_types_back_rest_another_while(clock: Traveller) -> None:
    stop(clock)
    for _ in range(3):
        clock.shift(600)
        assert judge()
        assert all(conversion.take(timezone.now()) for _ in range(10))
        sent(10)
        assert not judge()
        clock.shift(91)
        assert not judge()
        assert Circuit.objects.get().retry_at == timezone.now() + timedelta(minutes=10)
    assert AuditEvent.objects.filter(tag="portal:texts:stopped").count() == 1


def test_T15_pages_say_it_and_the_terminal_still_works(clock: Traveller) -> None:
    till = make_shop()
    stop(clock)
    visitor = Visitor()
    page = visitor.client.get("/", headers={"Accept-Language": "en"}).content.decode()
    assert "We send few texts at the moment" in page
    visitor.identify()
    visitor.worker()
    assert texts_to() == 0
    shown = requests.open_request(till.terminal, "03")
    at_till = Visitor()
    at_till.prove_at(shown)
    assert texts_to() == 1
    assert at_till.post("match", number=shown.match).url == "/password"
    assert at_till.set_password().url == "/status"


def test_a_code_that_was_typed_back_to_the_phone_is_known_to_the_sample(clock: Traveller) -> None:
    make_shop()
    visitor = Visitor()
    visitor.prove()
    Message.objects.update(state="delivered")
    clock.shift(46)
    assert conversion._typed_back(conversion._sends(None, timezone.now())) == [True]


# ── what counts, and whose breaker it is ────────────────────────────────────────────────────────────────────


def test_T15_a_code_has_forty_five_seconds_to_be_typed(clock: Traveller) -> None:
    sent(100)
    clock.shift(44)
    assert judge()
    clock.shift(1)
    assert not judge()


def test_T15_only_codes_by_text_are_judged(clock: Traveller) -> None:
    sent(100)
    Message.objects.update(template="applied")
    clock.shift(46)
    assert judge()
    Message.objects.update(template="code", channel="voice")
    assert judge()
    Message.objects.update(channel="sms")
    assert not judge()


def test_T15_another_breaker_is_another_matter(clock: Traveller) -> None:
    now = timezone.now()
    other = {"stopped_at": now, "retry_at": now, "trials": 3}
    Circuit.objects.create(name="another", **other)
    assert conversion.stands(now) and conversion.take(now) and ask() == ""
    stop(clock)
    assert not conversion.take(timezone.now())
    assert Circuit.objects.filter(name="another", **other).exists()
    stopped = Circuit.objects.get(name="texts")
    assert (stopped.stopped_at, stopped.retry_at, stopped.trials) == (
        timezone.now(),
        timezone.now() + timedelta(minutes=10),
        0,
    )


def test_T15_codes_typed_after_the_pause_let_texts_go_on_with_a_clean_sheet(clock: Traveller) -> None:
    now = timezone.now()
    Circuit.objects.create(name="another", stopped_at=now, retry_at=now, trials=3)
    stop(clock)
    clock.shift(600)
    assert conversion.take(timezone.now())
    sent(3, typed=True)
    assert judge()
    circuit = Circuit.objects.get(name="texts")
    assert (circuit.stopped_at, circuit.retry_at, circuit.trials) == (None, None, 0)
    assert circuit.counted_from == timezone.now()
    assert AuditEvent.objects.get(tag="portal:texts:resumed").actor == "system"
    assert Circuit.objects.get(name="another").trials == 3
