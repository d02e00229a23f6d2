"""The code page tells how far the code has come, offers a call in time, and tells strangers nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from portal.messaging import course
from portal.messaging.course import ORDINARY, Journey, Phase, course_of, drawn
from portal.messaging.gateways import OURS, REASONS
from portal.messaging.outbox import deliver, note_report, queue_message
from portal.models import Challenge, Channel, Merchant, Message
from tests.cast import FUMANLOU
from tests.recovery.visitor import Visitor, make_shop

NOON = datetime.fromisoformat("2026-11-24T12:00:00+00:00")
State = Message.State
pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


def report(status: str, error: str = "") -> None:
    message = Message.objects.latest("created_at")
    assert note_report(message.callback_key, message.provider_id, status, error)


def waiting(*, known: bool = True) -> Visitor:
    """Somebody whose code was just asked for, and handed over if they are known."""
    make_shop()
    visitor = Visitor()
    visitor.identify(shop=FUMANLOU["number"] if known else "898440158129999")
    visitor.worker()
    hand_over()
    return visitor


def hand_over() -> None:
    for message in Message.objects.filter(state=State.QUEUED):
        deliver(message.id)


def words(answer: Any) -> str:
    """The page's text in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def phase(visitor: Visitor, name: str = "delivery") -> str:
    found = re.search(r'data-phase="([a-z ]+)"', visitor.get(name).content.decode())
    assert found
    return found[1]


# ── what is told ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("locale", "carrier", "phone"),
    [
        (
            "en",
            "the carrier took the text for the phone ending 2046",
            "reached the phone ending 2046 at 20:00",
        ),
        ("zh-hans", "20:00 已收下", "20:00 已送到尾号 2046 的手机"),
    ],
)
def test_the_page_follows_the_receipts(clock: Any, locale: str, carrier: str, phone: str) -> None:
    visitor = waiting()
    visitor.client.cookies["rekey_lang"] = locale
    assert phase(visitor, "code") == "going"
    clock.shift(2)
    told = words(visitor.get("code"))
    assert carrier in re.sub(r" +", " ", told)
    report("delivered")
    clock.shift(2)
    assert phone in re.sub(r" +", " ", words(visitor.get("code")))
    assert phase(visitor) == phase(visitor, "code") == "delivered"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("30003", "the phone is switched off or out of reach"),
        ("30006", "the number takes no texts"),
        ("30007", "the carrier held it back"),
        ("99999", "something is wrong on our side"),
    ],
)
def test_what_could_not_be_delivered_says_why_and_offers_a_call_at_twenty_seconds(
    clock: Any, error: str, why: str
) -> None:
    visitor = waiting()
    visitor.client.cookies["rekey_lang"] = "en"
    clock.shift(3)
    report("undelivered", error)
    clock.shift(3)
    page = words(visitor.get("code"))
    assert "could not be delivered" in page
    assert why in page
    assert "Support can help" in page
    clock.shift(14)
    assert "Call me with the code" in words(visitor.get("delivery"))


def test_without_a_receipt_a_call_is_offered_after_twenty_seconds(clock: Any) -> None:
    visitor = waiting()
    clock.shift(19)
    assert phase(visitor) == "sent"
    clock.shift(1)
    assert phase(visitor) == "sent call"


def test_a_receipt_that_lies_ends_nothing(clock: Any) -> None:
    visitor = waiting()
    report("delivered")
    clock.shift(30)
    assert phase(visitor) == "delivered"
    clock.shift(30)
    assert phase(visitor) == "delivered call"


def test_a_provider_that_never_answered_is_not_said_to_have_sent_it(clock: Any) -> None:
    visitor = waiting()
    Message.objects.update(state=State.UNKNOWN, error="timeout", accepted_at=None, settled_at=timezone.now())
    clock.shift(20)
    assert phase(visitor) == "going call"


def test_where_nobody_can_call_the_page_still_leads_on(clock: Any, settings: LazySettings) -> None:
    settings.VOICE_GATEWAY = "off"
    visitor = waiting()
    visitor.client.cookies["rekey_lang"] = "en"
    clock.shift(20)
    page = words(visitor.get("code"))
    assert "No word from the phone yet. It can be sent once more below." in page
    assert "Call me" not in page
    visitor.post("call")
    assert visitor.recovery.challenge.sends == 1


# ── the call ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_says_the_same_code_and_the_page_tells_of_the_call(clock: Any) -> None:
    visitor = waiting()
    visitor.client.cookies["rekey_lang"] = "en"
    clock.shift(10)
    visitor.post("call")
    assert Message.objects.count() == 1, "too early"
    clock.shift(10)
    visitor.post("call")
    visitor.worker()
    hand_over()
    called = Message.objects.latest("created_at")
    assert (called.channel, called.state) == (Channel.VOICE, State.ACCEPTED)
    page = words(visitor.get("code"))
    assert "from the call" in page
    assert "we call the phone ending" in page
    report("undelivered", "no-answer")
    clock.shift(2)
    assert "nobody answered" in words(visitor.get("code"))
    assert visitor.post("code", code=visitor.code).status_code == 302
    assert visitor.recovery.proved_at is not None


def test_T01_a_stranger_who_asks_for_a_call_gets_none_and_sees_no_difference(clock: Any) -> None:
    visitor = waiting(known=False)
    clock.shift(20)
    answer = visitor.post("call")
    visitor.worker()
    assert answer.status_code == 302
    assert Message.objects.count() == 0
    assert "voice" in visitor.recovery.challenge.channel


# ── a stranger's course ─────────────────────────────────────────────────────────────────────────────────────


def earlier(number: int, state: str, *, generation: int = 0) -> None:
    """A message of half an hour ago, handed over in a second and settled in five."""
    then = timezone.now() - timedelta(minutes=30, seconds=number)
    message = queue_message("code", f"+861380000{number:04}", "en")
    Message.objects.filter(pk=message.pk).update(
        created_at=then,
        accepted_at=then + timedelta(seconds=1),
        settled_at=then + timedelta(seconds=5),
        state=state,
        generation=generation,
    )


def test_a_strangers_page_takes_the_course_that_others_took(clock: Any) -> None:
    for number in range(20):
        earlier(number, State.DELIVERED)
    visitor = waiting(known=False)
    seen = []
    for _ in range(4):
        seen.append(phase(visitor))
        clock.shift(2)
    assert seen == ["going", "sent", "sent", "delivered"]


def test_a_strangers_code_may_be_a_new_one_as_well(clock: Any) -> None:
    earlier(0, State.DELIVERED, generation=1)
    visitor = waiting(known=False)
    visitor.client.cookies["rekey_lang"] = "en"
    clock.shift(6)
    assert "Only the newest counts" in words(visitor.get("delivery"))


def test_T01_known_and_stranger_see_the_same_pages_and_cost_the_same_queries(clock: Any) -> None:
    for number in range(20):
        earlier(number, State.DELIVERED)
    looks = []
    for known in (True, False):
        with time_machine.travel(NOON + timedelta(minutes=10), tick=False) as travelling:
            visitor = waiting()
            looks.append([look_at(visitor)])
            travelling.shift(1)
            Message.objects.filter(state=State.ACCEPTED).update(accepted_at=timezone.now())
            travelling.shift(4)
            if known:
                report("delivered")
            looks[-1].append(look_at(visitor))
            travelling.shift(55)
            looks[-1].append(look_at(visitor))
        Merchant.objects.update(phone_digest="")
    assert looks[0] == looks[1]


def look_at(visitor: Visitor) -> list[Any]:
    """Both addresses: their words, and what they ask of the database."""
    seen: list[Any] = []
    for name in ("code", "delivery"):
        with CaptureQueriesContext(connection) as queries:
            answer = visitor.get(name)
        seen.append((answer.headers["Cache-Control"], re.sub(r"[A-Z2-9]{4}-[A-Z2-9]{4}", "*", words(answer))))
        seen.append([re.sub(r"'[^']*'|[0-9]+", "*", query["sql"]) for query in queries])
    return seen


def challenge_for(phone: str) -> Challenge:
    return Challenge(id="c" * 16, phone=phone, sends=1, created_at=NOON, expires_at=NOON)


GOOD, BAD = Journey(1, 5, arrived=True), Journey(1, 3, error="30003")


def test_whether_a_strangers_text_arrives_hangs_on_the_phone_and_is_as_rare_as_in_life() -> None:
    others = [BAD] * 5 + [GOOD] * 15
    phones = [f"+8613800{number:06}" for number in range(400)]
    failed = {phone for phone in phones if drawn(challenge_for(phone), others).failed}
    assert 60 <= len(failed) <= 140
    for phone in phones[:40]:
        again = Challenge(id="d" * 16, phone=phone, sends=1, created_at=NOON, expires_at=NOON)
        assert drawn(again, others).failed == (phone in failed)


def test_where_nothing_was_ever_sent_the_ordinary_course_is_taken() -> None:
    assert drawn(challenge_for("+8613800002046"), []) is ORDINARY
    assert drawn(challenge_for("+8613800002046"), [BAD]).failed


def test_until_a_worker_has_seen_to_it_nothing_is_told(clock: Any) -> None:
    challenge = challenge_for("+8613800002046")
    challenge.last_sent_at = NOON
    challenge.save()
    assert course_of(challenge, None, NOON + timedelta(minutes=1)).phase == Phase.GOING
    assert course_of(challenge, NOON, NOON + timedelta(minutes=1)).phase == Phase.SENT


@pytest.mark.parametrize(("seconds", "told_after"), [(0, 2), (0.1, 2), (1.9, 2), (2, 4), (-3, 2)])
def test_what_happens_is_told_at_whole_steps(seconds: float, told_after: int) -> None:
    journey = Journey(seconds, None)
    told = [journey.told(NOON, NOON + timedelta(seconds=second)).phase for second in range(6)]
    assert told.index(Phase.SENT) == told_after
    assert course.STEP_S == 2


def test_every_language_has_every_reason() -> None:
    with translation.override("zh-hans"):
        assert all(re.search("[一-鿿]", str(text)) for text in (OURS, *REASONS.values()))
