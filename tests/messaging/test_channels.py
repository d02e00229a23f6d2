"""One challenge, three ways for its code: a text, a call, a mail; and what each of them says."""

from __future__ import annotations

import base64
import email
import re
import stat
from collections.abc import Iterator
from datetime import datetime
from email import policy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import time_machine
from django.conf import LazySettings

from portal import challenges, texting
from portal.codes import derive_code
from portal.messaging import templates
from portal.messaging.gateways import GatewayError, Parcel
from portal.messaging.mail import MailGateway
from portal.messaging.outbox import deliver, queue_message
from portal.messaging.templates import TEXTS, speak, subject_of, write_mail
from portal.messaging.twilio import TwilioVoiceGateway, spoken
from portal.models import Challenge, Channel, Message
from portal.secrets import mask_email, pepper
from portal.texting import Ask
from tests.cast import make_merchant
from tests.messaging.smtp_standin import SmtpStandIn
from tests.messaging.standin import Problem
from tests.messaging.twilio_standin import SENDER, SID, TOKEN, TwilioStandIn

PHONE, MAILBOX = "+8613800002046", "fuman@example.com"
NOON = datetime.fromisoformat("2026-11-24T12:00:00+00:00")
pytestmark = pytest.mark.django_db


@pytest.fixture
def twilio(settings: LazySettings) -> Iterator[TwilioStandIn]:
    with TwilioStandIn() as running:
        settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = SID, TOKEN
        settings.TWILIO_VOICE_FROM, settings.VOICE_GATEWAY = SENDER, "twilio"
        settings.TWILIO_API_BASE, settings.TWILIO_TIMEOUT = running.base, 0.3
        yield running


@pytest.fixture
def smtp(settings: LazySettings) -> Iterator[SmtpStandIn]:
    with SmtpStandIn() as running:
        settings.MAIL_GATEWAY, settings.EMAIL_BACKEND = "smtp", MailGateway.backend
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", running.port, False
        settings.EMAIL_TIMEOUT = 0.3
        yield running


def code_of(challenge: Challenge) -> str:
    return derive_code(pepper(), challenge.seed, challenge.purpose)


def sent(challenge: Challenge, locale: str = "zh-hans") -> Message:
    message = challenges.send(challenge, "code", locale)
    assert message is not None
    deliver(message.id)
    message.refresh_from_db()
    return message


# ── where a challenge leads ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("channel", "to"), [(Channel.SMS, PHONE), (Channel.VOICE, PHONE), (Channel.EMAIL, MAILBOX)]
)
def test_a_code_sent_any_way_is_checked_the_same(channel: Channel, to: str) -> None:
    challenge = challenges.open_for("recovery", to, channel, subject="rec_1")
    message = sent(challenge)
    assert (message.state, message.channel, message.to) == ("accepted", channel, to)
    assert not challenges.check(challenge.id, "recovery", "rec_1", "000000").ok
    assert challenges.check(challenge.id, "recovery", "rec_1", code_of(challenge)).ok


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.VOICE, Channel.EMAIL])
def test_a_decoy_sends_nothing_and_is_never_met(channel: Channel) -> None:
    decoy = challenges.open_for("recovery", "", channel, subject="rec_1")
    assert challenges.send(decoy, "code", "en") is None
    assert challenges.check(decoy.id, "recovery", "rec_1", code_of(decoy)).reason == "wrong"


def test_neither_phone_nor_mailbox_is_readable_in_the_database() -> None:
    sent(challenges.open_for("recovery", MAILBOX, Channel.EMAIL, subject="rec_1"))
    raw = repr(list(Message.objects.raw("select * from portal_message")[0].__dict__))
    assert MAILBOX not in raw
    assert str(Message.objects.get()) == "code f****@example.com"


@pytest.mark.parametrize(
    ("address", "masked"), [("w@x.cn", "w****@x.cn"), ("", ""), ("nobody", ""), ("@x.cn", "****@x.cn")]
)
def test_a_mailbox_is_named_by_its_first_letter(address: str, masked: str) -> None:
    assert mask_email(address) == masked


# ── when a call may follow ──────────────────────────────────────────────────────────────────────────────────


def test_a_call_may_follow_a_text_after_twenty_seconds_and_costs_a_slot() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        challenge = challenges.open_challenge("recovery", "rec_1", PHONE)
        sent(challenge)
        clock.shift(19)
        assert not challenges.take_send(challenge.id, Channel.VOICE)
        clock.shift(1)
        assert challenges.take_send(challenge.id, Channel.VOICE)
        assert not challenges.take_send(challenge.id, Channel.VOICE)
        clock.shift(40)
        assert not challenges.take_send(challenge.id, Channel.VOICE)
        assert not challenges.take_send(challenge.id, Channel.SMS)
        clock.shift(20)
        assert challenges.take_send(challenge.id, Channel.SMS)
        clock.shift(90)
        assert not challenges.take_send(challenge.id, Channel.VOICE), "three in all"


def test_what_was_called_is_told_by_the_same_clock() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        challenge = challenges.open_challenge("recovery", "rec_1", PHONE)
        challenges.take_send(challenge.id)
        challenge.refresh_from_db()
        assert (challenges.next_call_in(challenge), challenges.next_send_in(challenge)) == (20, 60)
        clock.shift(20)
        resent = challenges.resend(challenge.id, "code", "en", channel=Channel.VOICE)
        challenge.refresh_from_db()
        assert (resent.sent, resent.left, challenges.next_call_in(challenge)) == (True, 1, 60)
    assert Message.objects.get().channel == Channel.VOICE


def test_a_challenge_by_mail_has_no_phone_to_call() -> None:
    challenge = challenges.open_for("recovery", MAILBOX, Channel.EMAIL, subject="rec_1")
    assert not challenges.take_send(challenge.id, Channel.VOICE)


# ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("locale", "spoken_code"),
    [("zh-hans", "0，1，2，3，4，5"), ("en", "0, 1, 2, 3, 4, 5"), ("xx", "0, 1, 2")],
)
def test_digits_are_spoken_one_by_one_and_three_times(locale: str, spoken_code: str) -> None:
    text = speak(locale, "012345")
    assert spoken_code in text
    said = ET.fromstring(spoken(text, locale)).findall("Say")
    assert [one.text for one in said] == [text] * 3
    assert {one.get("language") for one in said} == {"zh-CN" if locale == "zh-hans" else "en-US"}


def test_twilio_is_asked_for_a_call_that_says_the_code(twilio: TwilioStandIn) -> None:
    challenge = challenges.open_for("recovery", PHONE, Channel.VOICE, subject="rec_1")
    message = sent(challenge)
    assert (message.state, message.provider_id[:2]) == ("accepted", "CA")
    (call,) = twilio.accepted
    assert (call["To"], call["From"], call["Timeout"]) == (PHONE, SENDER, "30")
    assert speak("zh-hans", code_of(challenge)) in call["Twiml"]


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Problem(400, 21211), "21211"),
        (Problem(wait_s=0.6), "timeout"),
        (Problem(500, 20500), "server"),
        (Problem(201, raw=b'{"sid": "SM00"}'), "garbled"),
    ],
)
def test_trouble_with_a_call_is_told_apart(twilio: TwilioStandIn, problem: Problem, code: str) -> None:
    twilio.problems.append(problem)
    with pytest.raises(GatewayError) as refused:
        TwilioVoiceGateway().send(Parcel(PHONE, "one, two"))
    assert refused.value.code == code


def test_a_call_is_one_line_of_the_demos_file(settings: LazySettings, tmp_path: Path) -> None:
    settings.SMS_CONSOLE_FILE = tmp_path / "sms.log"
    challenge = challenges.open_for("recovery", "+861012345678", Channel.VOICE, subject="rec_1")
    sent(challenge, "en")
    assert ", ".join(code_of(challenge)) in settings.SMS_CONSOLE_FILE.read_text()


# ── mails ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mail_holds_the_code_and_neither_link_nor_name(smtp: SmtpStandIn) -> None:
    challenge = challenges.open_for("recovery", MAILBOX, Channel.EMAIL, subject="rec_1")
    message = sent(challenge)
    assert (message.state, message.gateway) == ("accepted", "smtp")
    mail: Any = email.message_from_string(smtp.mails[0], policy=policy.default)
    assert (mail["To"], mail["Subject"]) == (MAILBOX, "您的验证码")
    assert mail["Auto-Submitted"] == "auto-generated"
    body = mail.get_content()
    assert code_of(challenge) in body
    assert "400-000-0000" in body


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"RCPT": "550 no such user fuman"}, "mailbox"),
        ({"MAIL": "550 not you"}, "20003"),
        ({"DATA": "554 no"}, "server"),
    ],
)
def test_a_mail_servers_refusal_is_told_apart_and_not_repeated(
    smtp: SmtpStandIn, answers: dict[str, str], code: str
) -> None:
    smtp.answers = answers
    with pytest.raises(GatewayError) as refused:
        MailGateway().send(Parcel(MAILBOX, "words", subject="subject"))
    assert refused.value.code == code
    assert "fuman" not in f"{refused.value!r} {refused.value.__cause__}"


def test_a_mail_server_that_is_silent_or_away_is_told_apart(
    smtp: SmtpStandIn, settings: LazySettings
) -> None:
    smtp.silent_s = 0.6
    with pytest.raises(GatewayError) as slow:
        MailGateway().send(Parcel(MAILBOX, "words"))
    settings.EMAIL_PORT = 9
    with pytest.raises(GatewayError) as away:
        MailGateway().send(Parcel(MAILBOX, "words"))
    assert (slow.value.code, away.value.code) == ("timeout", "unreachable")


def test_the_demos_mails_lie_in_a_folder_that_only_its_owner_may_read(
    settings: LazySettings, tmp_path: Path
) -> None:
    settings.MAIL_FOLDER = tmp_path / "var" / "mail"
    challenge = challenges.open_for("recovery", MAILBOX, Channel.EMAIL, subject="rec_1")
    sent(challenge, "en")
    assert stat.S_IMODE(settings.MAIL_FOLDER.stat().st_mode) == 0o700
    (file,) = settings.MAIL_FOLDER.iterdir()
    assert code_of(challenge) in body_of(file.read_text())


def body_of(mail: str) -> str:
    head, _, body = mail.partition("\n\n")
    return base64.b64decode(body).decode() if "base64" in head else body


def test_a_notice_can_be_mailed_as_it_is_texted(smtp: SmtpStandIn) -> None:
    facts = {"terminal": "A0012345", "operator": "03", "number": "R7F3-K229"}
    deliver(queue_message("applied", MAILBOX, "en", channel=Channel.EMAIL, facts=facts).id)
    assert "A0012345: 03 has a new password. Not you? R7F3-K229" in smtp.mails[0]
    assert Message.objects.get().cost_milli == 0


# ── the words, with the longest values ──────────────────────────────────────────────────────────────────────

LONGEST = {"code": "888888", "terminal": "W8888888", "operator": "88", "hotline": "0755-88888888"}
LINK = re.compile(r"https?:|www\.|\.(com|cn|net)|/")


@pytest.mark.parametrize("locale", ["zh-hans", "en", "xx"])
@pytest.mark.parametrize("template", TEXTS)
def test_every_template_makes_a_mail_without_a_link(template: str, locale: str) -> None:
    values = {name: value for name, value in LONGEST.items() if name != "hotline"}
    wanted = set(re.findall(r"{(\w+)}", repr(TEXTS[template])))
    values |= dict.fromkeys(wanted - LONGEST.keys(), "8" * 8)
    text = subject_of(template, locale) + write_mail(template, locale, LONGEST["hotline"], **values)
    assert not LINK.search(text)
    assert LONGEST["hotline"] in text


def test_calls_and_mails_are_worded_in_every_language_that_texts_are() -> None:
    languages = {frozenset(one) for one in TEXTS.values()}
    worded = (
        templates.CALL,
        templates.COMMA,
        templates.NOTICE,
        templates.CLOSING,
        *templates.SUBJECTS.values(),
    )
    assert {frozenset(one) for one in worded} == languages


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_codes_to_one_mailbox_are_ten_a_day() -> None:
    with time_machine.travel(NOON, tick=False):
        merchant = make_merchant()
        refusals = [
            texting.refusal(Ask(MAILBOX, f"10.0.{n}.0/24", merchant, channel=Channel.EMAIL))
            for n in range(11)
        ]
    assert refusals == [""] * 10 + ["mail-per-mailbox"]
