"""Twilio's reports: believed only when Twilio signed them for our address, and then only forward (T19)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from django.test import Client

from portal.messaging.outbox import queue_message
from portal.models import AuditEvent, Message
from tests.messaging.twilio_standin import SID, TOKEN

ORIGIN = "https://rekey.example"
MESSAGE = "SM" + "1b" * 16
FORM = "application/x-www-form-urlencoded"
State = Message.State
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def account(settings: LazySettings) -> None:
    settings.TWILIO_ACCOUNT_SID = SID
    settings.TWILIO_AUTH_TOKEN = TOKEN
    settings.TWILIO_CALLBACK_ORIGIN = ORIGIN


@pytest.fixture
def message() -> Message:
    made = queue_message("code", "+8613800002046", "en")
    Message.objects.filter(pk=made.pk).update(state=State.ACCEPTED, provider_id=MESSAGE, gateway="twilio")
    made.refresh_from_db()
    return made


def sign(url: str, fields: dict[str, str], key: str = TOKEN, digest: str = "sha1") -> str:
    """Twilio's signature as its documentation describes it: the URL, then names and values in order."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(key.encode(), text.encode(), digest).digest()).decode()


def fields_of(status: str = "delivered", **more: str) -> dict[str, str]:
    return {
        "AccountSid": SID, "MessageSid": MESSAGE, "SmsSid": MESSAGE, "From": "+15005550006",
        "To": "+8613800002046", "MessageStatus": status, "SmsStatus": status, "ApiVersion": "2010-04-01",
        **more,
    }  # fmt: skip


def path_of(message: Message) -> str:
    return f"/sms/callback/{message.callback_key}"


def post(path: str, fields: Any, signature: str | None, kind: str = FORM, **headers: str) -> int:
    if signature is not None:
        headers["X-Twilio-Signature"] = signature
    body = fields if isinstance(fields, str | bytes) else urlencode(fields)
    return Client().post(path, body, content_type=kind, headers=headers).status_code


def report(message: Message, status: str = "delivered", **more: str) -> int:
    fields = fields_of(status, **more)
    return post(path_of(message), fields, sign(ORIGIN + path_of(message), fields))


def state_of(message: Message) -> tuple[str, str]:
    message.refresh_from_db()
    return message.state, message.error


# ── genuine ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_genuine_report_moves_the_message(message: Message) -> None:
    assert report(message) == 204
    assert state_of(message) == ("delivered", "")


def test_T19_a_replay_changes_nothing(message: Message) -> None:
    report(message)
    at = message.updated_at
    assert [report(message) for _ in range(3)] == [204] * 3
    message.refresh_from_db()
    assert message.updated_at >= at
    assert state_of(message) == ("delivered", "")


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["queued", "sending", "sent", "delivered"]))[::5]
)
def test_in_whatever_order_reports_come_the_furthest_stands(message: Message, order: tuple[str, ...]) -> None:
    for status in order:
        assert report(message, status) == 204
    assert state_of(message) == ("delivered", "")


@pytest.mark.parametrize("final", ["delivered", "undelivered", "failed"])
def test_T19_a_final_state_stays(message: Message, final: str) -> None:
    report(message, final)
    for status in ("sent", "delivered", "undelivered", "failed"):
        report(message, status, ErrorCode="30008")
    assert state_of(message) == (final, "")


def test_a_failure_brings_its_code_and_the_number_is_marked(message: Message) -> None:
    report(message, "undelivered", ErrorCode="30005")
    assert state_of(message) == ("undelivered", "30005")
    assert AuditEvent.objects.get().tag == "portal:phone:unreachable"


def test_a_report_may_be_faster_than_our_own_note(message: Message) -> None:
    Message.objects.update(state=State.SENDING, provider_id="")
    report(message, "sent")
    assert state_of(message)[0] == "sent"
    assert message.provider_id == MESSAGE


def test_T19_a_report_verifies_unlocks_and_sends_nothing(message: Message) -> None:
    report(message, "failed", ErrorCode="30003")
    assert Message.objects.count() == 1
    assert message.tries == 0


# ── forged ──────────────────────────────────────────────────────────────────────────────────────────────────

Forgery = Callable[[Message], int]


def url(message: Message) -> str:
    return ORIGIN + path_of(message)


def resplit(message: Message) -> int:
    """The same signed text, cut into other names and values."""
    fields = {
        "AccountSid": SID,
        "MessageSid": MESSAGE,
        "MessageStatus": "sent",
        "X": "MessageStatusdelivered",
    }
    signature = sign(url(message), fields)
    text = "".join(name + fields[name] for name in sorted(fields))
    moved = {"AccountSid": SID, "MessageSid": MESSAGE, "MessageStatussentX": "", "MessageStatus": "delivered"}
    assert text == "AccountSid" + SID + "MessageSid" + MESSAGE + "MessageStatussentXMessageStatusdelivered"
    return post(path_of(message), moved, signature)


def resplit_sid(message: Message) -> int:
    fields = {"AccountSid": SID, "MessageSid": MESSAGE, "MessageStatus": "delivered"}
    moved = {"AccountSid": SID + "MessageSid" + MESSAGE, "MessageStatus": "delivered"}
    return post(path_of(message), moved, sign(url(message), fields))


def repeated(message: Message) -> int:
    fields = fields_of("sent")
    body = urlencode(fields) + "&MessageStatus=delivered"
    doubled = dict(fields, MessageStatus="delivered")
    for signed in (fields, doubled):
        assert post(path_of(message), body, sign(url(message), signed)) == 403
    both = url(message) + "".join(
        name + value for name in sorted(fields) for value in sorted({fields[name], doubled[name]})
    )
    mac = hmac.new(TOKEN.encode(), both.encode(), hashlib.sha1).digest()
    return post(path_of(message), body, base64.b64encode(mac).decode())


def other_message(message: Message) -> int:
    """A genuine report about one text, turned on another."""
    other = queue_message("code", "+8613800002054", "en")
    fields = fields_of()
    return post(path_of(message), fields, sign(url(other), fields))


def wrong_sid(message: Message) -> int:
    """Signed for this address, but about a text that it does not belong to: true, and nothing to us."""
    fields = fields_of(MessageSid="SM" + "9" * 32)
    assert post(path_of(message), fields, sign(url(message), fields)) == 204
    return 403


def json_body(message: Message) -> int:
    body = '{"MessageStatus": "delivered"}'
    return post(path_of(message), body, sign(url(message), {}), "application/json")


def json_with_hash(message: Message) -> int:
    body = '{"MessageStatus": "delivered"}'
    query = "?bodySHA256=" + hashlib.sha256(body.encode()).hexdigest()
    return post(path_of(message) + query, body, sign(url(message) + query, {}), "application/json")


def with_query(message: Message) -> int:
    fields = fields_of()
    return post(path_of(message) + "?a=1", fields, sign(url(message) + "?a=1", fields))


def other_account(message: Message) -> int:
    fields = fields_of(AccountSid="AC" + "7" * 32)
    return post(path_of(message), fields, sign(url(message), fields))


def sha256(message: Message) -> int:
    fields = fields_of()
    header = {"X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_SHA256"}
    return post(path_of(message), fields, sign(url(message), fields, digest="sha256"), **header)


def plain(signature: Callable[[Message, dict[str, str]], str | None]) -> Forgery:
    return lambda message: post(path_of(message), fields_of(), signature(message, fields_of()))


FORGERIES: dict[str, Forgery] = {
    "no header": plain(lambda message, fields: None),
    "empty header": plain(lambda message, fields: ""),
    "wrong key": plain(lambda message, fields: sign(url(message), fields, "0" * 32)),
    "empty key": plain(lambda message, fields: sign(url(message), fields, "")),
    "another algorithm": plain(lambda message, fields: sign(url(message), fields, digest="sha256")),
    "another algorithm, named": sha256,
    "http instead of https": plain(
        lambda message, fields: sign(url(message).replace("https", "http"), fields)
    ),
    "another port": plain(
        lambda message, fields: sign(url(message).replace(".example", ".example:8443"), fields)
    ),
    "another host": plain(lambda message, fields: sign(url(message).replace("rekey.", "evil."), fields)),
    "the address of the request": plain(lambda m, fields: sign("http://testserver" + path_of(m), fields)),
    "another status than signed": plain(lambda message, fields: sign(url(message), fields_of("sent"))),
    "split anew": resplit,
    "split anew, id gone": resplit_sid,
    "repeated fields": repeated,
    "another message's report": other_message,
    "another message's id": wrong_sid,
    "another account": other_account,
    "JSON": json_body,
    "JSON with a body hash": json_with_hash,
    "a query": with_query,
    "not text": lambda message: post(path_of(message), b"\xff\xfe=\x00", sign(url(message), {})),
    "unknown key": lambda message: post("/sms/callback/nobody", fields_of(), sign(url(message), fields_of())),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_T19_a_forged_report_changes_nothing(name: str, message: Message) -> None:
    before = Message.objects.values().get(pk=message.pk)
    assert FORGERIES[name](message) == 403
    assert Message.objects.values().get(pk=message.pk) == before
    assert AuditEvent.objects.count() == 0


def test_T19_a_report_backwards_changes_nothing(message: Message) -> None:
    report(message, "sent")
    report(message, "queued")
    report(message, "accepted")
    assert state_of(message) == ("sent", "")


def test_a_genuine_report_about_nothing_of_ours_is_taken_quietly() -> None:
    fields = fields_of()
    path = "/sms/callback/AAAAAAAAAAAAAAAA"
    assert post(path, fields, sign(ORIGIN + path, fields)) == 204


def test_without_a_token_nothing_is_believed(message: Message, settings: LazySettings) -> None:
    settings.TWILIO_AUTH_TOKEN = ""
    fields = fields_of()
    assert post(path_of(message), fields, sign(url(message), fields, "")) == 403


def test_without_a_configured_origin_nothing_is_believed(message: Message, settings: LazySettings) -> None:
    settings.TWILIO_CALLBACK_ORIGIN = ""
    fields = fields_of()
    assert post(path_of(message), fields, sign(path_of(message), fields)) == 403


def test_the_port_that_goes_without_saying_may_be_said(message: Message, settings: LazySettings) -> None:
    """Twilio signs with and without :443; both mean the same address."""
    fields = fields_of()
    assert post(path_of(message), fields, sign(ORIGIN + ":443" + path_of(message), fields)) == 204


def test_only_posts_are_heard(message: Message) -> None:
    assert Client().get(path_of(message)).status_code == 405


def test_an_error_that_is_no_number_is_dropped(message: Message) -> None:
    report(message, "failed", ErrorCode="30003<script>")
    assert state_of(message) == ("failed", "")
