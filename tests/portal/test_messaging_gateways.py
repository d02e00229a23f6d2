"""One conformance story for every gateway, and what is Twilio's alone."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from django.conf import LazySettings

from portal.messaging.console import ConsoleGateway
from portal.messaging.gateways import MEANINGS, Action, Gateway, GatewayError, Parcel, error_for, words_for
from portal.messaging.twilio import TwilioGateway
from tests.messaging.standin import Problem
from tests.messaging.twilio_standin import SENDER, SID, TOKEN, TwilioStandIn

PHONE = "+8613800002046"
TEXT = "验证码 123456，10 分钟内有效。"


class Carrier(Protocol):
    gateway: Gateway

    def carried(self) -> list[tuple[str, str]]: ...


@dataclass
class Console:
    gateway: Gateway
    path: Path

    def carried(self) -> list[tuple[str, str]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [(line.split("  ")[1], line.split("  ", 2)[2]) for line in lines]


@dataclass
class Twilio:
    gateway: Gateway
    standin: TwilioStandIn

    def carried(self) -> list[tuple[str, str]]:
        return [(fields["To"], fields["Body"]) for fields in self.standin.accepted]


@pytest.fixture
def standin(settings: LazySettings) -> Iterator[TwilioStandIn]:
    with TwilioStandIn() as running:
        settings.TWILIO_ACCOUNT_SID = SID
        settings.TWILIO_AUTH_TOKEN = TOKEN
        settings.TWILIO_FROM = SENDER
        settings.TWILIO_API_BASE = running.base
        settings.TWILIO_TIMEOUT = 0.3
        yield running


@pytest.fixture(params=["console", "twilio"])
def carrier(request: pytest.FixtureRequest, settings: LazySettings, tmp_path: Path) -> Carrier:
    if request.param == "console":
        settings.SMS_CONSOLE_FILE = tmp_path / "var" / "sms.log"
        return Console(ConsoleGateway(), settings.SMS_CONSOLE_FILE)
    standin = request.getfixturevalue("standin")
    return Twilio(TwilioGateway(), standin)


# ── every gateway ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_text_is_carried_as_it_is_to_where_it_should_go(carrier: Carrier) -> None:
    accepted = carrier.gateway.send(Parcel(PHONE, TEXT))
    assert accepted.provider_id
    assert carrier.carried() == [(PHONE, TEXT)]


def test_two_texts_have_two_ids_and_keep_their_order(carrier: Carrier) -> None:
    ids = {carrier.gateway.send(Parcel(PHONE, text)).provider_id for text in ("one", "two")}
    assert len(ids) == 2
    assert [text for _, text in carrier.carried()] == ["one", "two"]


def test_a_callback_address_is_welcome(carrier: Carrier) -> None:
    assert carrier.gateway.send(
        Parcel(PHONE, TEXT, callback_url="https://rekey.example/sms/callback/abc")
    ).provider_id


@pytest.mark.parametrize(("to", "code"), [("13800002046", "21211"), ("", None), ("+861012345678", "21614")])
def test_a_number_that_cannot_be_texted_is_refused_and_marked(
    carrier: Carrier, to: str, code: str | None
) -> None:
    with pytest.raises(GatewayError) as refused:
        carrier.gateway.send(Parcel(to, TEXT))
    assert carrier.carried() == []
    if code:
        assert (refused.value.code, refused.value.action) == (code, Action.MARK_NUMBER)
        assert str(refused.value.words)


def test_a_refusal_repeats_neither_text_nor_number(carrier: Carrier) -> None:
    with pytest.raises(GatewayError) as refused:
        carrier.gateway.send(Parcel("+861012345678", TEXT))
    told = f"{refused.value} {refused.value!r} {refused.value.__cause__} {refused.value.args}"
    assert "12345678" not in told
    assert "123456，" not in told


# ── the console ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_console_writes_one_line_that_only_its_owner_may_read(
    settings: LazySettings, tmp_path: Path
) -> None:
    settings.SMS_CONSOLE_FILE = tmp_path / "sms.log"
    ConsoleGateway().send(Parcel(PHONE, "one\nline\u2028only"))
    assert len(settings.SMS_CONSOLE_FILE.read_text().splitlines()) == 1
    assert stat.S_IMODE(settings.SMS_CONSOLE_FILE.stat().st_mode) == 0o600


# ── Twilio ──────────────────────────────────────────────────────────────────────────────────────────────────


def twilio_error(standin: TwilioStandIn, *problems: Problem) -> GatewayError:
    standin.problems.extend(problems)
    with pytest.raises(GatewayError) as refused:
        TwilioGateway().send(Parcel(PHONE, TEXT))
    return refused.value


def test_twilio_is_asked_with_its_own_form_fields(standin: TwilioStandIn) -> None:
    TwilioGateway().send(Parcel(PHONE, TEXT, callback_url="https://rekey.example/sms/callback/abc"))
    assert standin.accepted == [
        {
            "To": PHONE,
            "From": SENDER,
            "Body": TEXT,
            "StatusCallback": "https://rekey.example/sms/callback/abc",
        }
    ]


@pytest.mark.parametrize(
    ("problem", "code", "action"),
    [
        (Problem(400, 21211), "21211", Action.MARK_NUMBER),
        (Problem(400, 21610), "21610", Action.MARK_NUMBER),
        (Problem(400, 21614), "21614", Action.MARK_NUMBER),
        (Problem(400, 21635), "21635", Action.MARK_NUMBER),
        (Problem(400, 21408), "21408", Action.STOP),
        (Problem(400, 99999), "99999", Action.STOP),
        (Problem(401, 20003), "20003", Action.STOP),
        (Problem(429, 20429), "20429", Action.BACK_OFF),
        (Problem(429, raw=b"slow down"), "20429", Action.BACK_OFF),
        (Problem(500, 20500), "server", Action.UNKNOWN),
        (Problem(503, raw=b"<html>"), "server", Action.UNKNOWN),
        (Problem(400, raw=b"<html>"), "400", Action.STOP),
        (Problem(201, raw=b"{"), "garbled", Action.UNKNOWN),
        (Problem(201, raw=b"[]"), "garbled", Action.UNKNOWN),
        (Problem(201, raw=b'{"sid": null}'), "garbled", Action.UNKNOWN),
        (Problem(201, raw=b"\xff\xfe"), "garbled", Action.UNKNOWN),
        (Problem(302, raw=b""), "302", Action.STOP),
        (Problem(cut=True), "timeout", Action.UNKNOWN),
        (Problem(wait_s=0.6), "timeout", Action.UNKNOWN),
        (Problem(wait_s=0.6, accept=True), "timeout", Action.UNKNOWN),
    ],
    ids=lambda value: (
        f"{value.status}-{value.code}-{value.raw!r}" if isinstance(value, Problem) else str(value)
    ),
)
def test_each_answer_of_twilio_has_a_meaning(
    standin: TwilioStandIn, problem: Problem, code: str, action: Action
) -> None:
    error = twilio_error(standin, problem)
    assert (error.code, error.action) == (code, action)
    assert standin.requests == 1, "a repeated POST sends twice"


def test_silence_costs_the_configured_time_out_and_no_more(standin: TwilioStandIn) -> None:
    begun = time.monotonic()
    twilio_error(standin, Problem(wait_s=2.0))
    assert time.monotonic() - begun < 1.0


def test_a_closed_port_means_that_nothing_went_out(standin: TwilioStandIn, settings: LazySettings) -> None:
    settings.TWILIO_API_BASE = "http://127.0.0.1:9"
    error = twilio_error(standin)
    assert (error.code, error.action) == ("unreachable", Action.RETRY)


def test_wrong_credentials_stop(standin: TwilioStandIn, settings: LazySettings) -> None:
    settings.TWILIO_AUTH_TOKEN = "wrong" * 6
    assert twilio_error(standin).code == "20003"
    assert standin.accepted == []


def test_without_a_stand_in_the_request_goes_to_twilio(settings: LazySettings, monkeypatch: Any) -> None:
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN, settings.TWILIO_API_BASE = SID, TOKEN, ""
    asked: list[tuple[str, Any]] = []

    def send(self: Any, prepared: Any, **options: Any) -> Any:
        asked.append((prepared.url, options["timeout"]))
        raise ValueError

    monkeypatch.setattr("requests.Session.send", send)
    with pytest.raises(GatewayError):
        TwilioGateway().send(Parcel(PHONE, TEXT))
    assert asked == [
        (f"https://api.twilio.com/2010-04-01/Accounts/{SID}/Messages.json", settings.TWILIO_TIMEOUT)
    ]


def test_every_code_with_a_meaning_has_words() -> None:
    assert all(str(words_for(code)) for code in MEANINGS)
    assert str(words_for("31337"))
    assert words_for("") == ""
    assert error_for("31337").action is Action.STOP
