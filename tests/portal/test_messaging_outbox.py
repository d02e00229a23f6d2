"""The outbox: sent at most twice, never stale, never blind; texts that fit one segment."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import LazySettings
from django.utils import timezone

from portal import challenges, tasks
from portal.codes import derive_code
from portal.messaging import outbox
from portal.messaging.gateways import Accepted, Parcel, error_for
from portal.messaging.outbox import deliver, queue_message, sweep
from portal.messaging.templates import SEGMENT, TEXTS, render
from portal.models import AuditEvent, Challenge, Message
from portal.secrets import pepper
from tests.portal.parallel import in_parallel

PHONE = "+8613800002046"
NOON = datetime.fromisoformat("2026-11-24T12:00:00+00:00")
State = Message.State
pytestmark = pytest.mark.django_db


class FakeGateway:
    """Notes what it is given; refuses with the codes it is told to, in order."""

    name = "console"

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)
        self.sent: list[tuple[str, str, str]] = []

    def send(self, parcel: Parcel) -> Accepted:
        self.sent.append((parcel.to, parcel.text, parcel.callback_url))
        if self.refusals:
            raise error_for(self.refusals.pop(0))
        return Accepted(f"id-{len(self.sent)}")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeGateway]:
    def use(*refusals: str) -> FakeGateway:
        made = FakeGateway(*refusals)
        monkeypatch.setattr(outbox, "gateway", lambda channel, name: made)
        return made

    return use


@pytest.fixture
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    calls: list[tuple[str, str]] = []
    monkeypatch.setattr(outbox, "nudge", lambda task, ident: calls.append((task, ident)))
    return calls


def queued() -> Message:
    challenge = challenges.open_challenge("recovery", "rec_1", PHONE)
    message = challenges.send(challenge, "code", "zh-hans")
    assert message is not None
    return message


def state_of(message: Message) -> tuple[str, str, int]:
    message.refresh_from_db()
    return message.state, message.error, message.tries


# ── one message ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_worker_hands_over_the_text_with_the_derived_code(fake: Callable[..., FakeGateway]) -> None:
    carrier, message = fake(), queued()
    assert deliver(message.id)
    code = derive_code(pepper(), str(message.challenge_id), "recovery")
    assert carrier.sent == [(PHONE, f"验证码 {code}，10 分钟内有效。谁问都别说，客服也不会问。", "")]
    assert state_of(message) == ("accepted", "", 1)
    assert (message.gateway, message.provider_id) == ("console", "id-1")


def test_the_task_takes_one_id_and_twice_is_once(fake: Callable[..., FakeGateway]) -> None:
    carrier, message = fake(), queued()
    for _ in range(3):
        tasks.send_message(message.id)
    tasks.send_message("unknown")
    assert len(carrier.sent) == 1


@pytest.mark.django_db(transaction=True)
def test_ten_workers_with_one_message_send_it_once(fake: Callable[..., FakeGateway]) -> None:
    carrier, message = fake(), queued()
    assert sum(in_parallel(10, lambda: deliver(message.id), width=10)) == 1
    assert len(carrier.sent) == 1


@pytest.mark.django_db(transaction=True)
def test_a_nudge_goes_out_on_commit_with_nothing_but_the_id(nudged: list[tuple[str, str]]) -> None:
    message = queued()
    assert nudged == [("portal.tasks.send_message", message.id)]


def test_the_row_holds_neither_code_nor_text(fake: Callable[..., FakeGateway]) -> None:
    fake()
    message = queued()
    deliver(message.id)
    code = derive_code(pepper(), str(message.challenge_id), "recovery")
    assert code not in repr(Message.objects.values())
    assert "验证码" not in repr(Message.objects.values())


def test_the_callback_address_is_the_configured_one(
    fake: Callable[..., FakeGateway], settings: LazySettings
) -> None:
    settings.TWILIO_CALLBACK_ORIGIN = "https://rekey.example/"
    carrier, message = fake(), queued()
    deliver(message.id)
    assert carrier.sent[0][2] == f"https://rekey.example/sms/callback/{message.callback_key}"


def test_the_configured_gateway_is_used(settings: LazySettings, tmp_path: Path) -> None:
    settings.SMS_CONSOLE_FILE = tmp_path / "sms.log"
    message = queued()
    assert deliver(message.id)
    assert state_of(message)[0] == "accepted"
    assert PHONE in settings.SMS_CONSOLE_FILE.read_text()


# ── trouble ─────────────────────────────────────────────────────────────────────────────────────────────────


def run(message: Message, minutes: float = 0.5) -> None:
    """Workers and sweeper for so long."""
    for second in range(0, int(minutes * 60), 2):
        with time_machine.travel(NOON + timedelta(seconds=second), tick=False):
            deliver(message.id)
            sweep(timezone.now())


@pytest.mark.parametrize(
    ("refusals", "sends", "state", "error"),
    [
        ([], 1, "accepted", ""),
        (["unreachable"], 2, "accepted", ""),
        (["unreachable"] * 9, 2, "failed", "unreachable"),
        (["20429"] * 9, 2, "failed", "20429"),
        (["30003"] * 9, 2, "failed", "30003"),
        (["timeout"], 2, "accepted", ""),
        (["timeout"] * 9, 2, "unknown", "timeout"),
        (["server"] * 9, 2, "unknown", "server"),
        (["garbled"] * 9, 2, "unknown", "garbled"),
        (["21614"], 1, "failed", "21614"),
        (["21211"], 1, "failed", "21211"),
        (["21610"], 1, "failed", "21610"),
        (["20003"], 1, "failed", "20003"),
        (["99999"], 1, "failed", "99999"),
    ],
)
@pytest.mark.usefixtures("nudged")
def test_each_kind_of_trouble_ends_where_it_should(
    refusals: list[str], sends: int, state: str, error: str, fake: Callable[..., FakeGateway]
) -> None:
    carrier = fake(*refusals)
    with time_machine.travel(NOON, tick=False):
        message = queued()
    run(message)
    assert (len(carrier.sent), *state_of(message)) == (sends, state, error, sends)
    assert len({text for _, text, _ in carrier.sent}) == 1, "always the same code"


def test_the_second_try_waits_a_little(fake: Callable[..., FakeGateway]) -> None:
    carrier = fake("20429")
    with time_machine.travel(NOON, tick=False) as clock:
        message = queued()
        for _ in range(4):
            deliver(message.id)
            clock.shift(1)
        assert len(carrier.sent) == 1
        clock.shift(1)
        deliver(message.id)
    assert len(carrier.sent) == 2


def test_a_number_that_cannot_be_reached_is_marked_without_being_named(
    fake: Callable[..., FakeGateway],
) -> None:
    fake("30005")
    message = queued()
    deliver(message.id)
    event = AuditEvent.objects.get()
    assert (event.tag, event.subject) == ("portal:phone:unreachable", outbox.phone_subject(PHONE))
    assert PHONE[3:] not in repr(AuditEvent.objects.values())


def test_a_lost_worker_leaves_unknown_and_nothing_is_repeated(fake: Callable[..., FakeGateway]) -> None:
    carrier = fake()
    with time_machine.travel(NOON, tick=False) as clock:
        message = queued()
        Message.objects.update(state=State.SENDING, tries=1, claimed_at=timezone.now())
        clock.shift(39)
        assert sweep(timezone.now()) == 0
        clock.shift(2)
        assert sweep(timezone.now()) == 1
        deliver(message.id)
    assert state_of(message) == ("unknown", "lost", 1)
    assert carrier.sent == []


# ── never stale ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_older_than_a_minute_is_not_sent(fake: Callable[..., FakeGateway]) -> None:
    carrier = fake()
    with time_machine.travel(NOON, tick=False) as clock:
        message = queued()
        clock.shift(61)
        assert not deliver(message.id)
    assert state_of(message)[:2] == ("failed", "stale")
    assert carrier.sent == []


def test_a_code_already_used_is_not_sent(fake: Callable[..., FakeGateway]) -> None:
    carrier, message = fake(), queued()
    Challenge.objects.update(used_at=timezone.now())
    assert not deliver(message.id)
    assert carrier.sent == []


def test_a_notice_may_be_an_hour_late(fake: Callable[..., FakeGateway]) -> None:
    carrier = fake()
    facts = {"terminal": "A0012345", "operator": "03", "number": "R7F3-K229", "hotline": "400"}
    with time_machine.travel(NOON, tick=False) as clock:
        early, late = (queue_message("applied", PHONE, "en", facts=facts) for _ in range(2))
        clock.shift(3599)
        assert deliver(early.id)
        clock.shift(2)
        assert not deliver(late.id)
    assert [text for _, text, _ in carrier.sent] == [
        "A0012345: 03 has a new password. Not you? R7F3-K229 or 400"
    ]


def test_the_sweeper_offers_what_waits_and_fails_what_is_stale(
    nudged: list[tuple[str, str]], fake: Callable[..., FakeGateway]
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        old = queued()
        clock.shift(58)
        waiting = queued()
        clock.shift(3)
        fresh = queued()
        nudged.clear()
        tasks.sweep_messages()
    assert nudged == [("portal.tasks.send_message", waiting.id)]
    assert [state_of(one)[0] for one in (old, waiting, fresh)] == ["failed", "queued", "queued"]


# ── the texts (T18) ─────────────────────────────────────────────────────────────────────────────────────────

LONGEST = {
    "code": "888888",
    "terminal": "W8888888",
    "operator": "88",
    "hotline": "0755-88888888",
    "left": "10",
    "number": "CWWW-WWWW",
    "tail": "8888",
    "count": "888",
}


@pytest.mark.parametrize("locale", ["zh-hans", "en", "xx"])
@pytest.mark.parametrize("template", TEXTS)
def test_T18_every_text_fits_one_segment_and_holds_no_link(template: str, locale: str) -> None:
    text = render(template, locale, **LONGEST)
    assert len(text.encode("utf-16-le")) // 2 <= SEGMENT, len(text)
    assert not re.search(r"https?:|www\.|\.(com|cn|net)|/", text)


@pytest.mark.parametrize("template", TEXTS)
def test_every_text_is_there_in_both_languages(template: str) -> None:
    assert set(TEXTS[template]) == {"zh-hans", "en"}


@pytest.mark.parametrize("template", ["code", "sign-in"])
@pytest.mark.parametrize(
    ("locale", "words"), [("zh-hans", ("10 分钟", "都别说")), ("en", ("10 min", "Tell nobody"))]
)
def test_T18_a_code_comes_with_its_life_and_a_warning(
    template: str, locale: str, words: tuple[str, str]
) -> None:
    text = render(template, locale, code="012345")
    assert "012345" in text
    assert all(word in text for word in words)


def test_T18_names_of_shops_and_people_have_no_place_in_a_text() -> None:
    places = set(re.findall(r"{(\w+)}", repr(TEXTS)))
    assert places == {"code", "terminal", "operator", "hotline", "left", "number", "tail", "count"}


def test_a_text_without_its_value_is_an_error_and_not_a_text() -> None:
    with pytest.raises(KeyError):
        render("code", "en")


def test_a_notice_of_a_lost_worker_is_sent_once_more(fake: Callable[..., FakeGateway]) -> None:
    carrier = fake()
    with time_machine.travel(NOON, tick=False) as clock:
        facts = {"operator": "03", "terminal": "A0012345", "number": "R7F3-K229", "hotline": "400"}
        message = queue_message("applied", PHONE, "en", facts=facts)
        Message.objects.update(state=State.SENDING, tries=1, claimed_at=timezone.now())
        clock.shift(41)
        sweep(timezone.now())
        deliver(message.id)
    assert len(carrier.sent) == 1
