"""The support desk sees how each gateway does, and superusers can try one, counted and on record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from portal import challenges
from portal.messaging.outbox import deliver, phone_subject
from portal.messaging.standing import DAY, HOUR, Standing, standings
from portal.models import AuditEvent, Channel, Circuit, Message
from tests.cast import make_staff, signed_in

PHONE = "13800002046"
NOON = datetime.fromisoformat("2026-11-24T12:00:00+00:00")
State = Message.State
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


@pytest.fixture(autouse=True)
def gateways(settings: LazySettings, tmp_path: Path) -> None:
    settings.SMS_GATEWAY, settings.SMS_ROUTES = "console", {"86": "aliyun+console"}
    settings.MAIL_GATEWAY = "off"
    settings.SMS_CONSOLE_FILE = tmp_path / "sms.log"


def carried(
    state: str, *, gateway: str = "aliyun", minutes: int = 5, seconds: int = 4, **facts: Any
) -> Message:
    challenge = challenges.open_challenge("recovery", "rec_1", "+86" + PHONE)
    then = timezone.now() - timedelta(minutes=minutes)
    challenge.used_at = then if facts.pop("typed", False) else None
    challenge.save()
    return Message.objects.create(
        template="code", phone="+86" + PHONE, challenge=challenge, gateway=gateway, state=state,
        created_at=then, accepted_at=then, settled_at=then + timedelta(seconds=seconds), **facts,
    )  # fmt: skip


def of(gateway: str, length: timedelta = HOUR) -> Standing:
    return next(one for one in standings(timezone.now(), length) if one.gateway == gateway)


# ── the figures ─────────────────────────────────────────────────────────────────────────────────────────────


def test_each_gateway_is_told_with_what_became_of_its_messages() -> None:
    for seconds in (2, 4, 60):
        carried(State.DELIVERED, seconds=seconds, typed=seconds == 4)
    carried(State.UNDELIVERED, seconds=6)
    carried(State.UNKNOWN)
    carried(State.FAILED)
    carried(State.DELIVERED, gateway="console", generation=1)
    one = of("aliyun")
    assert one.counts == {
        "taken": 4, "delivered": 3, "undelivered": 2, "unknown": 1, "taken_over": 0,
        "codes": 4, "typed_back": 1,
    }  # fmt: skip
    assert (one.median_s, one.typed_back, one.rests) == (5.0, 25, False)
    assert of("console").counts["taken_over"] == 1


def test_an_hour_and_a_day_are_told_apart() -> None:
    carried(State.DELIVERED, minutes=90)
    assert (of("aliyun").counts["taken"], of("aliyun", DAY).counts["taken"]) == (0, 1)
    assert (of("aliyun").median_s, of("aliyun").typed_back) == (None, None)


def test_a_gateway_that_the_settings_no_longer_name_is_told_while_it_counts() -> None:
    carried(State.DELIVERED, gateway="twilio")
    named = [(one.channel, one.gateway) for one in standings(timezone.now(), HOUR)]
    assert named == [("sms", "console"), ("sms", "aliyun"), ("voice", "console"), ("sms", "twilio")]


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────


def words(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


@pytest.mark.parametrize(
    ("language", "rests"), [("en", "rests since 20:00 , tried again at 20:01"), ("zh-hans", "20:00")]
)
def test_the_page_says_which_gateway_rests(language: str, rests: str) -> None:
    carried(State.DELIVERED)
    Circuit.objects.create(name="sms:aliyun", stopped_at=NOON, retry_at=NOON + timedelta(minutes=1), trials=5)
    client = signed_in(make_staff())
    client.cookies["rekey_lang"] = language
    told = words(client.get("/admin/portal/message/carriers/"))
    assert rests in told
    assert "aliyun" in told
    assert PHONE not in told


def clerk(*rights: str) -> Client:
    staff = make_staff("clerk", superuser=False)
    staff.user_permissions.add(*Permission.objects.filter(codename__in=rights))
    return signed_in(staff)


def test_who_may_see_messages_sees_the_carriers_and_may_not_try_one() -> None:
    client = clerk("view_message")
    answer = client.get("/admin/portal/message/carriers/")
    assert answer.status_code == 200
    assert "/try/" not in answer.content.decode()
    assert client.get("/admin/portal/message/try/").status_code == 403
    assert (
        client.post("/admin/portal/message/try/", {"way": "sms:console", "phone": PHONE}).status_code == 403
    )
    assert Message.objects.count() == 0


def test_who_may_not_see_messages_sees_no_carriers() -> None:
    assert clerk().get("/admin/portal/message/carriers/").status_code == 403
    assert Client().get("/admin/portal/message/carriers/").status_code == 302


# ── trying one ──────────────────────────────────────────────────────────────────────────────────────────────


def attempt(client: Client, way: str = "sms:console", **fields: str) -> Any:
    return client.post("/admin/portal/message/try/", {"way": way, "phone": PHONE, **fields})


@pytest.mark.parametrize("way", ["sms:console", "voice:console"])
def test_a_superuser_tries_the_gateway_that_they_chose(way: str, settings: LazySettings) -> None:
    staff = make_staff()
    answer = attempt(signed_in(staff), way)
    message = Message.objects.get()
    assert answer.status_code == 302
    assert message.id[:4] in answer.headers["Location"]
    deliver(message.id)
    message.refresh_from_db()
    channel, gateway = way.split(":")
    assert (message.state, message.channel, message.gateway) == ("accepted", channel, gateway)
    assert PHONE in settings.SMS_CONSOLE_FILE.read_text()
    event = AuditEvent.objects.get(tag="portal:message:tested")
    assert (event.actor, event.subject) == (f"user:{staff.pk}", phone_subject("+86" + PHONE))
    assert PHONE not in repr(event.facts)


def test_a_test_that_fails_goes_nowhere_else(settings: LazySettings) -> None:
    attempt(signed_in(make_staff()), "sms:aliyun")
    message = Message.objects.get()
    assert not deliver(message.id)
    assert not deliver(message.id)
    message.refresh_from_db()
    assert (message.state, message.error, message.gateway, message.tries) == (
        "failed", "unregistered", "aliyun", 1,
    )  # fmt: skip


def test_ten_a_day_are_enough_for_one_person() -> None:
    client = signed_in(make_staff())
    answers = [attempt(client) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [302] * 10 + [200]
    assert Message.objects.count() == 10


@pytest.mark.parametrize(
    "fields",
    [{"phone": ""}, {"phone": "12345"}, {"phone": "+15005550006"}, {"way": "sms:nobody"}, {"way": ""}],
)
def test_what_cannot_be_sent_is_said_and_not_sent(fields: dict[str, str]) -> None:
    answer = attempt(signed_in(make_staff()), **fields)
    assert answer.status_code == 200
    assert Message.objects.count() == 0
    assert "error" in answer.content.decode()


def test_a_mail_goes_to_the_mailbox_that_is_typed(settings: LazySettings, tmp_path: Path) -> None:
    settings.MAIL_GATEWAY, settings.MAIL_FOLDER = "file", tmp_path / "mail"
    client = signed_in(make_staff())
    assert attempt(client, "email:file").status_code == 200
    assert attempt(client, "email:file", email="desk@example.com").status_code == 302
    message = Message.objects.get()
    assert (message.channel, message.to) == (Channel.EMAIL, "desk@example.com")
    assert deliver(message.id)
