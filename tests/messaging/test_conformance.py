"""What holds for every gateway over HTTP: it accepts, is silent, refuses, is slow, and lies."""

from __future__ import annotations

import base64
import hmac
import json
import logging
from collections.abc import Iterator
from typing import Any, Protocol
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from django.test import Client

from portal import challenges
from portal.codes import derive_code
from portal.messaging.aliyun import AliyunGateway
from portal.messaging.gateways import Action, Gateway, GatewayError, Parcel
from portal.messaging.meanings import MEANINGS
from portal.messaging.outbox import deliver
from portal.messaging.twilio import TwilioGateway
from portal.models import Message
from portal.secrets import pepper
from tests.messaging import aliyun_standin, twilio_standin
from tests.messaging.aliyun_standin import AliyunStandIn
from tests.messaging.standin import Problem
from tests.messaging.twilio_standin import TwilioStandIn

PHONE = "+8613800002046"
REPORT_KEY = "r" * 32
State = Message.State
pytestmark = pytest.mark.django_db


class Provider(Protocol):
    """One provider's stand-in, told what to do in the same words as the other's."""

    name: str
    gateway: type[Gateway]
    standin: TwilioStandIn | AliyunStandIn

    def carried(self) -> list[tuple[str, str]]:
        """Phone and code of each text that it took."""

    def refuse(self, why: str) -> None:
        """Refuse the next one: for its number, our account, its words, or for haste."""

    def report(self, message: Message, *, delivered: bool, forged: str = "") -> int:
        """Report on a text, or let somebody else try to; the status of our answer."""


class Twilio:
    name = "twilio"
    gateway = TwilioGateway
    origin = "https://rekey.example"

    def __init__(self, standin: TwilioStandIn) -> None:
        self.standin = standin

    def carried(self) -> list[tuple[str, str]]:
        return [(one["To"], "".join(filter(str.isdigit, one["Body"]))[:6]) for one in self.standin.accepted]

    def refuse(self, why: str) -> None:
        codes = {
            "number": (400, 21211),
            "account": (401, 20003),
            "words": (400, 30007),
            "haste": (429, 20429),
        }
        self.standin.problems.append(Problem(*codes[why]))

    def report(self, message: Message, *, delivered: bool, forged: str = "") -> int:
        path = f"/sms/callback/{'A' * 16 if forged == 'message' else message.callback_key}"
        sid = "SM" + "9f" * 16 if forged == "number" else message.provider_id
        fields = {"AccountSid": twilio_standin.SID, "MessageSid": sid}
        fields["MessageStatus"] = "delivered" if delivered else "undelivered"
        if not delivered:
            fields["ErrorCode"] = "30003"
        text = self.origin + path + "".join(name + fields[name] for name in sorted(fields))
        key = "wrong" if forged == "key" else twilio_standin.TOKEN
        signature = base64.b64encode(hmac.new(key.encode(), text.encode(), "sha1").digest()).decode()
        kind = "application/x-www-form-urlencoded"
        headers = {"X-Twilio-Signature": signature}
        return Client().post(path, urlencode(fields), content_type=kind, headers=headers).status_code


class Aliyun:
    name = "aliyun"
    gateway = AliyunGateway

    def __init__(self, standin: AliyunStandIn) -> None:
        self.standin = standin

    def carried(self) -> list[tuple[str, str]]:
        return [
            ("+86" + one["PhoneNumbers"], json.loads(one["TemplateParam"])["code"])
            for one in self.standin.accepted
        ]

    def refuse(self, why: str) -> None:
        codes = {
            "number": "isv.MOBILE_NUMBER_ILLEGAL",
            "account": "isv.AMOUNT_NOT_ENOUGH",
            "words": "isv.SMS_TEMPLATE_ILLEGAL",
            "haste": "Throttling.User",
        }
        self.standin.named.append(codes[why])

    def report(self, message: Message, *, delivered: bool, forged: str = "") -> int:
        one = {
            "phone_number": "13800002046", "send_time": "2026-11-24 20:00:00",
            "report_time": "2026-11-24 20:00:05", "success": delivered,
            "err_code": "DELIVERED" if delivered else "UNDELIV", "err_msg": "", "sms_size": "1",
            "biz_id": "1^0" if forged == "number" else message.provider_id,
            "out_id": "A" * 16 if forged == "message" else message.callback_key,
        }  # fmt: skip
        key = "wrong" if forged == "key" else REPORT_KEY
        path = f"/sms/reports/aliyun?key={key}"
        return Client().post(path, json.dumps([one, "odd", {}]), content_type="application/json").status_code


@pytest.fixture
def twilio(settings: LazySettings) -> Iterator[Twilio]:
    with TwilioStandIn() as running:
        settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = twilio_standin.SID, twilio_standin.TOKEN
        settings.TWILIO_FROM, settings.TWILIO_CALLBACK_ORIGIN = twilio_standin.SENDER, Twilio.origin
        settings.TWILIO_API_BASE, settings.TWILIO_TIMEOUT = running.base, 0.3
        yield Twilio(running)


@pytest.fixture
def aliyun(settings: LazySettings) -> Iterator[Aliyun]:
    with AliyunStandIn() as running:
        settings.ALIYUN_ACCESS_KEY_ID = aliyun_standin.KEY_ID
        settings.ALIYUN_ACCESS_KEY_SECRET = aliyun_standin.KEY_SECRET
        settings.ALIYUN_SIGN_NAME, settings.ALIYUN_TEMPLATES = (
            aliyun_standin.SIGN_NAME,
            aliyun_standin.TEMPLATES,
        )
        settings.ALIYUN_ENDPOINT, settings.ALIYUN_TIMEOUT = running.base, 0.3
        settings.ALIYUN_REPORT_KEY = REPORT_KEY
        yield Aliyun(running)


@pytest.fixture(params=["twilio", "aliyun"])
def provider(request: pytest.FixtureRequest, settings: LazySettings) -> Provider:
    settings.SMS_GATEWAY = request.param
    made: Provider = request.getfixturevalue(request.param)
    return made


def parcel() -> Parcel:
    return Parcel(PHONE, "Code 123456", "code", "en", {"code": "123456"}, reference="B" * 16)


def queued() -> Message:
    challenge = challenges.open_challenge("recovery", "rec_1", PHONE)
    message = challenges.send(challenge, "code", "zh-hans")
    assert message is not None
    return message


def handed_over() -> Message:
    message = queued()
    assert deliver(message.id)
    message.refresh_from_db()
    return message


def refusal(provider: Provider) -> GatewayError:
    with pytest.raises(GatewayError) as refused:
        provider.gateway().send(parcel())
    assert provider.standin.requests == 1, "a repeated request sends twice"
    told = f"{refused.value!r} {refused.value.__cause__} {refused.value.args}"
    assert "13800002046" not in told
    return refused.value


# ── it accepts ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_text_is_carried_with_its_code_to_where_it_should_go(provider: Provider) -> None:
    message = handed_over()
    assert message.challenge is not None
    code = derive_code(pepper(), message.challenge.seed, "recovery")
    assert provider.carried() == [(PHONE, code)]
    assert (message.state, message.gateway) == ("accepted", provider.name)
    assert message.provider_id


def test_each_text_has_a_number_of_its_own(provider: Provider) -> None:
    assert len({provider.gateway().send(parcel()).provider_id for _ in range(3)}) == 3


# ── it refuses, is slow, is silent ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("why", "action", "outage"),
    [
        ("number", Action.MARK_NUMBER, False),
        ("account", Action.STOP, True),
        ("words", Action.STOP, False),
        ("haste", Action.BACK_OFF, True),
    ],
)
def test_each_refusal_asks_for_what_it_means(
    provider: Provider, why: str, action: Action, outage: bool
) -> None:
    provider.refuse(why)
    error = refusal(provider)
    assert (error.action, error.is_outage) == (action, outage)
    assert error.code in MEANINGS
    assert str(error.words)


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Problem(wait_s=0.8), "timeout"),
        (Problem(wait_s=0.8, accept=True), "timeout"),
        (Problem(cut=True), "timeout"),
        (Problem(500), "server"),
        (Problem(503), "server"),
        (Problem(200, raw=b"{"), "garbled"),
        (Problem(200, raw=b"[]"), "garbled"),
        (Problem(200, raw=b"\xff\xfe"), "garbled"),
        (Problem(200, raw=b'{"Code": "OK"}'), "garbled"),
    ],
    ids=["slow", "accepts-and-never-answers", "hangs-up", "fault", "busy", "half", "list", "bytes", "bare"],
)
def test_what_is_not_answered_counts_as_unknown(provider: Provider, problem: Problem, code: str) -> None:
    provider.standin.problems.append(problem)
    error = refusal(provider)
    assert (error.code, error.action) == (code, Action.UNKNOWN)


def test_a_closed_port_means_that_nothing_went_out(provider: Provider, settings: LazySettings) -> None:
    settings.TWILIO_API_BASE = settings.ALIYUN_ENDPOINT = "http://127.0.0.1:9"
    with pytest.raises(GatewayError) as refused:
        provider.gateway().send(parcel())
    assert (refused.value.code, refused.value.action) == ("unreachable", Action.RETRY)


def test_wrong_credentials_rest_the_gateway(provider: Provider, settings: LazySettings) -> None:
    settings.TWILIO_AUTH_TOKEN = settings.ALIYUN_ACCESS_KEY_SECRET = "wrong" * 6
    error = refusal(provider)
    assert (error.action, error.is_outage) == (Action.STOP, True)
    assert provider.carried() == []


def test_nothing_of_a_text_is_logged_or_printed(
    provider: Provider,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEBUG", "sdk")
    caplog.set_level(logging.DEBUG)
    handed_over()
    provider.standin.problems.append(Problem(500))
    deliver(queued().id)
    told = caplog.text + "".join(capfd.readouterr())
    (phone, code) = provider.carried()[0]
    assert phone[3:] not in told
    assert code not in told


# ── its reports ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_genuine_report_is_told_and_a_duplicate_changes_nothing(provider: Provider) -> None:
    message = handed_over()
    assert provider.report(message, delivered=True) in (200, 204)
    message.refresh_from_db()
    assert message.state == State.DELIVERED
    settled_at = message.settled_at
    provider.report(message, delivered=True)
    provider.report(message, delivered=False)
    message.refresh_from_db()
    assert (message.state, message.settled_at) == (State.DELIVERED, settled_at)


def test_a_report_of_failure_says_why(provider: Provider) -> None:
    message = handed_over()
    provider.report(message, delivered=False)
    message.refresh_from_db()
    assert message.state == State.UNDELIVERED
    assert message.error


@pytest.mark.parametrize("forged", ["key", "message", "number"])
def test_T19_a_forged_report_changes_nothing(provider: Provider, forged: str) -> None:
    message = handed_over()
    provider.report(message, delivered=True, forged=forged)
    message.refresh_from_db()
    assert message.state == State.ACCEPTED


def test_T19_a_report_that_lies_verifies_and_unlocks_nothing(provider: Provider) -> None:
    message = queued()
    provider.standin.problems.append(Problem(wait_s=0.8))
    deliver(message.id)
    message.refresh_from_db()
    provider.report(message, delivered=True)
    challenge = message.challenge
    assert challenge is not None
    challenge.refresh_from_db()
    assert (challenge.used_at, challenge.attempts, challenges.sends_left(challenge)) == (None, 0, 2)


def test_one_provider_is_not_heard_about_what_another_carried(
    twilio: Twilio, aliyun: Aliyun, settings: LazySettings
) -> None:
    settings.SMS_GATEWAY = "twilio"
    message = handed_over()
    Message.objects.update(provider_id="123^0")
    message.refresh_from_db()
    assert aliyun.report(message, delivered=True) == 200
    message.refresh_from_db()
    assert message.state == State.ACCEPTED


# ── Aliyun alone ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("locale", "registered"), [("en", "SMS_100002"), ("zh-hans", "SMS_100001")])
def test_aliyun_is_asked_for_the_text_that_is_registered(
    aliyun: Aliyun, locale: str, registered: str
) -> None:
    AliyunGateway().send(Parcel(PHONE, "words", "code", locale, {"code": "012345"}, reference="B" * 16))
    (one,) = aliyun.standin.accepted
    assert one == {
        "PhoneNumbers": "13800002046", "SignName": aliyun_standin.SIGN_NAME, "TemplateCode": registered,
        "TemplateParam": '{"code": "012345"}', "OutId": "B" * 16,
    }  # fmt: skip


def test_a_text_that_is_not_registered_is_not_asked_for(aliyun: Aliyun) -> None:
    with pytest.raises(GatewayError) as refused:
        AliyunGateway().send(Parcel(PHONE, "words", "choosing", "en", {}))
    assert (refused.value.code, refused.value.another_may) == ("unregistered", True)
    assert aliyun.standin.requests == 0


@pytest.mark.parametrize("body", ["", "{", '{"out_id": "x"}', "\x00", "1"])
def test_what_is_no_heap_of_reports_is_a_bad_request(aliyun: Aliyun, body: str) -> None:
    answer = Client().post(f"/sms/reports/aliyun?key={REPORT_KEY}", body, content_type="application/json")
    assert answer.status_code == 400


def test_without_a_key_no_reports_are_taken(settings: LazySettings) -> None:
    settings.ALIYUN_REPORT_KEY = ""
    assert Client().post("/sms/reports/aliyun", "[]", content_type="application/json").status_code == 403
    assert Client().post("/sms/reports/aliyun?key=", "[]", content_type="application/json").status_code == 403


def odd(**changes: Any) -> dict[str, Any]:
    return {"out_id": "A" * 16, "biz_id": "1^0", "success": True, "err_code": "DELIVERED", **changes}


@pytest.mark.parametrize(
    "one", [odd(out_id=None), odd(out_id=["A" * 16]), odd(biz_id=1.5), odd(success="yes"), odd(success=1)]
)
def test_an_odd_report_is_left_out_and_the_others_are_read(aliyun: Aliyun, one: dict[str, Any]) -> None:
    message = handed_over_by(aliyun)
    heap = [one, odd(out_id=message.callback_key, biz_id=message.provider_id)]
    Client().post(f"/sms/reports/aliyun?key={REPORT_KEY}", json.dumps(heap), content_type="application/json")
    message.refresh_from_db()
    assert message.state == State.DELIVERED


def handed_over_by(aliyun: Aliyun) -> Message:
    message = queued()
    taken = AliyunGateway().send(parcel())
    Message.objects.filter(pk=message.pk).update(
        state=State.ACCEPTED, gateway="aliyun", provider_id=taken.provider_id
    )
    message.refresh_from_db()
    return message
