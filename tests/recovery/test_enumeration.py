"""Whoever asks, and whatever is true of the shop, the pages, their headers and their queries are the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.limits import take
from portal.messaging import outbox
from portal.models import Allowance, AuditEvent, Challenge, Merchant, Message
from recovery import flow
from recovery.models import Recovery
from tests.cast import make_merchant, make_terminal, pair_on_paper
from tests.recovery.visitor import PHONE, Visitor

# CSRF tokens, and the random receipt number of a recovery.
NONCES = re.compile(rb'(?<=name="csrfmiddlewaretoken" value=")[^"]+|(?<=>)[B-Z2-9]{4}-[B-Z2-9]{4}(?=<)')
# The token is padded anew for every page; the cookie value that hides it is as long every time.
COOKIE_VALUES = re.compile(r"=[^;]+; (?=expires|HttpOnly)")


def shop(**facts: Any) -> None:
    if not Merchant.objects.exists():
        pair_on_paper(make_terminal(make_merchant()))
    merchant = Merchant.objects.get()
    for name, value in facts.items():
        setattr(merchant, name, value)
    merchant.save()


def over_limit() -> None:
    shop()
    for _ in range(5):
        take("sms-per-phone", "+86" + PHONE)


def provider_down() -> None:
    shop()


def nobody() -> None:
    Merchant.objects.filter(number__startswith="8984").update(number="898440158129999", phone_digest="")


CLASSES: dict[str, Callable[[], None]] = {
    "known": shop,
    "wrong phone": lambda: shop(phone="+8613800002054"),
    "closed": lambda: shop(status="closed"),
    "suspended": lambda: shop(status="suspended"),
    "no phone on file": lambda: shop(phone=""),
    "over the limit": over_limit,
    "provider down": provider_down,
    "unknown merchant": nobody,
}


def forget_everything() -> None:
    for model in (Message, Recovery, Challenge, Allowance):
        model.objects.all().delete()
    connection.cursor().execute(f"DELETE FROM {AuditEvent._meta.db_table}")
    Merchant.objects.update(status="active", phone_digest="")
    for merchant in Merchant.objects.all():
        merchant.phone = "+86" + PHONE
        merchant.save()


def deliver_texts() -> None:
    for message in Message.objects.filter(state="queued"):
        outbox.deliver(message.id)


def worker(visitor: Visitor) -> None:
    visitor.worker()
    deliver_texts()


def look(answer: Any) -> tuple[Any, ...]:
    """Everything of an answer that a stranger can see, nonces masked."""
    cookies = sorted(COOKIE_VALUES.sub("=*; ", morsel.OutputString()) for morsel in answer.cookies.values())
    headers = [(name, len(value) if name == "Content-Length" else value) for name, value in answer.items()]
    return answer.status_code, headers, cookies, NONCES.sub(b"*", answer.content)


def watch(visitor: Visitor) -> list[tuple[str, Any, list[str]]]:
    """Take the road of somebody without the code; what each answer looked like, and its queries."""
    seen: list[tuple[str, Any, list[str]]] = []

    def note(step: str, act: Callable[[], Any]) -> None:
        with CaptureQueriesContext(connection) as queries:
            answer = act()
        seen.append((step, look(answer), [kind_of(query["sql"]) for query in queries]))

    start = timezone.now().replace(minute=10, second=0, microsecond=0)
    with time_machine.travel(start, tick=False) as clock:
        note("identify", visitor.identify)
        note("code page, before the worker", lambda: visitor.get("code"))
        worker(visitor)
        note("code page", lambda: visitor.get("code"))
        note("resend, too early", lambda: visitor.post("resend"))
        clock.shift(61)
        note("resend", lambda: visitor.post("resend"))
        worker(visitor)
        for turn in range(6):
            note(f"wrong code {turn}", lambda: visitor.post("code", code=visitor.wrong_code))
        note("code page, after it all", lambda: visitor.get("code"))
        clock.shift(700)
        note("code page, too late", lambda: visitor.get("code"))
        note("support page", lambda: visitor.get("support"))
    return seen


def kind_of(sql: str) -> str:
    """A query without its values and the running numbers of savepoints."""
    return re.sub(r"'[^']*'|\b[0-9]+\b|\bs[0-9]+_x[0-9]+\b", "?", sql)


@pytest.mark.django_db
def test_T01_eight_classes_of_visitors_cannot_be_told_apart(settings: Any) -> None:
    settings.REKEY_LIMITS = {"identify": "1000/hour", "code": "1000/hour"}
    settings.SMS_CONSOLE_FILE.parent.mkdir(exist_ok=True)
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = "AC" + "0" * 32, "t"
    settings.TWILIO_FROM, settings.TWILIO_API_BASE = "+15005550006", "http://127.0.0.1:9"
    shop()
    visitor = Visitor()
    visitor.get("identify")  # the CSRF cookie is there, as after any first page
    sightings = {}
    texted = {}
    for name, prepare in CLASSES.items():
        forget_everything()
        prepare()
        settings.SMS_GATEWAY = "twilio" if name == "provider down" else "console"
        visitor.client.cookies.pop(settings.RECOVERY_COOKIE_NAME, None)
        sightings[name] = watch(visitor)
        texted[name] = sorted(Message.objects.values_list("state", flat=True))
    assert texted.pop("known") == ["accepted"] * 2
    assert len(texted.pop("provider down")) == 2
    assert set(map(tuple, texted.values())) == {()}
    for name, sighting in sightings.items():
        for ours, theirs in zip(sightings["known"], sighting, strict=True):
            assert theirs == ours, name


@pytest.mark.django_db
def test_T01_the_texted_code_opens_the_door_for_the_known_only() -> None:
    shop()
    known, stranger = Visitor(), Visitor()
    known.identify()
    stranger.identify(shop="A9999999")
    for visitor in (known, stranger):
        visitor.worker()
        visitor.post("code", code=visitor.code)
    states = [known.recovery.state, stranger.recovery.state]
    assert states == [Recovery.State.PROVED, Recovery.State.PROVING]
    assert stranger.recovery.challenge.used_at is None
    assert not flow.waiting_for_worker(timezone.now())
