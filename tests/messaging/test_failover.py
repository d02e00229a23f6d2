"""Two gateways for one country: who carries, who takes over, and that a code that was passed by is void."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.utils import timezone

from portal import challenges, tasks
from portal.codes import derive_code
from portal.messaging import carriers, circuits, outbox
from portal.messaging.gateways import Accepted, Parcel, error_for
from portal.messaging.outbox import deliver, note_report, queue_message
from portal.models import AuditEvent, Challenge, Channel, Circuit, Message
from portal.secrets import pepper

PHONE = "+8613800002046"
NOON = datetime.fromisoformat("2026-11-24T12:00:00+00:00")
State = Message.State
pytestmark = pytest.mark.django_db


class Field:
    """Both gateways: who carried which code, and what each of them answers next."""

    def __init__(self) -> None:
        self.carried: list[tuple[str, str]] = []
        self.refusals: dict[str, list[str]] = {"aliyun": [], "twilio": []}

    def gateway(self, channel: str, name: str) -> Any:
        return Mine(self, name)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.carried]


class Mine:
    def __init__(self, field: Field, name: str) -> None:
        self.field, self.name = field, name

    def send(self, parcel: Parcel) -> Accepted:
        self.field.carried.append((self.name, parcel.values.get("code", "")))
        if self.field.refusals[self.name]:
            raise error_for(self.field.refusals[self.name].pop(0))
        return Accepted(f"id-{len(self.field.carried)}")


@pytest.fixture
def field(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> Field:
    settings.SMS_ROUTES = {"86": "aliyun+twilio"}
    made = Field()
    monkeypatch.setattr(outbox, "gateway", made.gateway)
    monkeypatch.setattr(outbox, "nudge", lambda task, ident: True)
    return made


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


def asked(phone: str = PHONE) -> Message:
    challenge = challenges.open_challenge("recovery", "rec_1", phone)
    message = challenges.send(challenge, "code", "en")
    assert message is not None
    return message


def code_of(message: Message) -> str:
    challenge = Challenge.objects.get(pk=message.challenge_id)
    return derive_code(pepper(), challenge.seed, challenge.purpose)


# ── who carries ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("phone", "names"), [(PHONE, ["aliyun", "twilio"]), ("+85251234567", ["twilio"]), ("+1", ["twilio"])]
)
def test_the_dial_code_decides(field: Field, settings: LazySettings, phone: str, names: list[str]) -> None:
    settings.SMS_GATEWAY = "twilio"
    assert carriers.route(Channel.SMS, phone) == names


def test_calls_and_mails_take_their_own_way(field: Field, settings: LazySettings) -> None:
    settings.VOICE_GATEWAY, settings.MAIL_GATEWAY = "twilio", "off"
    assert carriers.route(Channel.VOICE, PHONE) == ["twilio"]
    assert not carriers.is_offered(Channel.EMAIL)
    named = [("sms", "console"), ("sms", "aliyun"), ("sms", "twilio"), ("voice", "twilio")]
    assert carriers.in_use() == named


# ── who takes over ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "trouble", ["timeout", "unreachable", "server", "isv.AMOUNT_NOT_ENOUGH", "unregistered"]
)
def test_another_takes_over_at_once_with_a_new_code_and_the_first_is_void(field: Field, trouble: str) -> None:
    field.refusals["aliyun"] = [trouble]
    message = asked()
    assert not deliver(message.id)
    assert deliver(message.id), "no pause: the other gateway has nothing to recover from"
    assert field.names == ["aliyun", "twilio"]
    first, second = (code for _, code in field.carried)
    assert first != second == code_of(message)
    message.refresh_from_db()
    assert (message.state, message.gateway, message.generation, message.tries) == ("accepted", "twilio", 1, 2)
    assert not challenges.check(str(message.challenge_id), "recovery", "rec_1", first).ok
    assert challenges.check(str(message.challenge_id), "recovery", "rec_1", second).ok


def test_a_new_code_gives_no_tries_back(field: Field) -> None:
    message = asked()
    for _ in range(3):
        challenges.check(str(message.challenge_id), "recovery", "rec_1", "000000")
    field.refusals["aliyun"] = ["timeout"]
    deliver(message.id)
    deliver(message.id)
    assert challenges.tries_left(Challenge.objects.get(pk=message.challenge_id)) == 2


def test_two_hand_overs_are_the_end_whoever_fails(field: Field) -> None:
    field.refusals = {"aliyun": ["timeout"] * 9, "twilio": ["timeout"] * 9}
    message = asked()
    for _ in range(5):
        deliver(message.id)
    message.refresh_from_db()
    assert (field.names, message.state) == (["aliyun", "twilio"], "unknown")


def test_a_number_that_takes_no_texts_is_not_tried_elsewhere(field: Field) -> None:
    field.refusals["aliyun"] = ["isv.MOBILE_NUMBER_ILLEGAL"]
    message = asked()
    deliver(message.id)
    deliver(message.id)
    assert field.names == ["aliyun"]


def test_a_code_that_was_typed_back_is_not_sent_again(field: Field) -> None:
    field.refusals["aliyun"] = ["timeout"]
    message = asked()
    deliver(message.id)
    assert challenges.check(str(message.challenge_id), "recovery", "rec_1", field.carried[0][1]).ok
    assert not deliver(message.id)
    assert field.names == ["aliyun"]


def test_who_accepts_and_never_answers_is_not_asked_again_for_the_same_code(field: Field, clock: Any) -> None:
    message = asked()
    deliver(message.id)
    clock.shift(60)
    challenges.resend(str(message.challenge_id), "code", "en")
    again = Message.objects.latest("created_at")
    deliver(again.id)
    assert field.names == ["aliyun", "twilio"]
    assert field.carried[0][1] != field.carried[1][1] == code_of(message)


def test_after_a_delivery_a_resend_goes_the_same_way_with_the_same_code(field: Field, clock: Any) -> None:
    message = asked()
    deliver(message.id)
    message.refresh_from_db()
    assert note_report(message.callback_key, message.provider_id, "delivered", "", gateway="aliyun")
    clock.shift(60)
    challenges.resend(str(message.challenge_id), "code", "en")
    deliver(Message.objects.latest("created_at").id)
    assert field.names == ["aliyun", "aliyun"]
    assert field.carried[0][1] == field.carried[1][1]


def test_a_late_report_about_the_first_says_nothing_of_the_second(field: Field) -> None:
    message = asked()
    deliver(message.id)
    message.refresh_from_db()
    first_id = message.provider_id
    Message.objects.update(gateway="twilio", provider_id="id-9")
    assert not note_report(message.callback_key, first_id, "delivered", "", gateway="aliyun")
    assert not note_report(message.callback_key, "id-9", "delivered", "", gateway="aliyun")


def test_a_notice_is_taken_over_too(field: Field) -> None:
    field.refusals["aliyun"] = ["unregistered"]
    facts = {"terminal": "A0012345", "operator": "03", "number": "R7F3-K229", "hotline": "400"}
    message = queue_message("applied", PHONE, "en", facts=facts)
    deliver(message.id)
    deliver(message.id)
    assert field.names == ["aliyun", "twilio"]


# ── a gateway that fails rests ──────────────────────────────────────────────────────────────────────────────


def fail(times: int) -> None:
    for _ in range(times):
        circuits.note(Channel.SMS, "aliyun", timezone.now(), failed=True)


def stopped() -> bool:
    return Circuit.objects.filter(name="sms:aliyun", stopped_at__isnull=False).exists()


def test_five_failures_in_a_row_and_it_rests_a_minute(field: Field, clock: Any) -> None:
    fail(4)
    circuits.note(Channel.SMS, "aliyun", timezone.now(), failed=False)
    fail(4)
    assert not stopped()
    fail(1)
    assert stopped()
    deliver(asked().id)
    assert field.names == ["twilio"]
    assert AuditEvent.objects.filter(tag="portal:gateway:stopped").count() == 1
    clock.shift(60)
    deliver(asked("+8613800002047").id)
    deliver(asked("+8613800002048").id)
    assert field.names == ["twilio", "aliyun", "aliyun"], "one trial, and it worked"
    assert not stopped()
    assert AuditEvent.objects.filter(tag="portal:gateway:resumed").count() == 1


def test_a_trial_that_fails_costs_one_message_a_minute(field: Field, clock: Any) -> None:
    fail(5)
    clock.shift(60)
    field.refusals["aliyun"] = ["timeout"] * 9
    for number in range(3):
        message = asked(f"+861380000205{number}")
        deliver(message.id)
        deliver(message.id)
    assert field.names == ["aliyun", "twilio", "twilio", "twilio"]


def test_where_all_rest_the_first_is_tried_all_the_same(field: Field) -> None:
    fail(5)
    Circuit.objects.create(name="sms:twilio", stopped_at=NOON, retry_at=NOON + circuits.PAUSE)
    deliver(asked().id)
    assert field.names == ["aliyun"]


def test_the_only_gateway_is_never_passed_over(field: Field, settings: LazySettings) -> None:
    settings.SMS_ROUTES = {"86": "aliyun"}
    fail(9)
    deliver(asked().id)
    assert field.names == ["aliyun"]


@pytest.mark.parametrize(
    ("code", "rests"), [("timeout", True), ("20003", True), ("21211", False), ("30007", False)]
)
def test_only_what_befalls_the_gateway_counts(field: Field, code: str, rests: bool) -> None:
    field.refusals["aliyun"] = [code] * 5
    for number in range(5):
        deliver(asked(f"+861380000205{number}").id)
    assert stopped() == rests


def test_the_sweeper_hands_over_what_a_lost_nudge_left(
    field: Field, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[str] = []
    monkeypatch.setattr(outbox, "nudge", lambda task, ident: offered.append(ident))
    field.refusals["aliyun"] = ["timeout"]
    message = asked()
    deliver(message.id)
    offered.clear()
    clock.shift(3)
    tasks.sweep_messages()
    assert offered == [message.id]
