"""A code is for one thing, once (T13): nine other uses, through the pages, all refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.utils import timezone

from portal.models import Challenge
from recovery.models import Recovery
from terminals import requests
from tests.cast import PASSWORD, PairedTill, make_owner, make_terminal, pair_on_paper
from tests.portal.test_challenges import code_of
from tests.recovery.test_enumeration import look
from tests.recovery.visitor import Visitor, make_shop

pytestmark = pytest.mark.django_db
NAME = settings.RECOVERY_COOKIE_NAME


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


def asked() -> Visitor:
    visitor = Visitor()
    visitor.identify()
    visitor.worker()
    return visitor


def with_cookie(visitor: Visitor) -> Visitor:
    other = Visitor()
    other.client.cookies[NAME] = visitor.client.cookies[NAME].value
    return other


def twice(_: PairedTill) -> Any:
    """From a tab that still has the cookie of before."""
    visitor = asked()
    tab, code = with_cookie(visitor), visitor.code
    visitor.post("code", code=code)
    return tab.post("code", code=code)


def after_ten_minutes(_: PairedTill) -> Any:
    visitor = asked()
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1), tick=False):
        return visitor.post("code", code=visitor.code)


def after_five_wrong_ones(_: PairedTill) -> Any:
    visitor = asked()
    for _turn in range(5):
        visitor.post("code", code=visitor.wrong_code)
    return visitor.post("code", code=visitor.code)


def in_another_recovery(_: PairedTill) -> Any:
    return asked().post("code", code=asked().code)


def without_its_browser(_: PairedTill) -> Any:
    return Visitor().post("code", code=asked().code)


def at_another_terminal(till: PairedTill) -> Any:
    other = pair_on_paper(make_terminal(till.terminal.store.merchant))
    here, there = Visitor(), Visitor()
    here.scan(requests.open_request(till.terminal, "03"))
    there.scan(requests.open_request(other.terminal, "03"))
    here.worker()
    there.worker()
    return there.post("code", code=here.code)


def after_the_phone_was_changed(till: PairedTill) -> Any:
    visitor = asked()
    merchant = till.terminal.store.merchant
    merchant.phone = "+8613800002054"
    merchant.save()
    return visitor.post("code", code=visitor.code)


def sign_in(client: Client) -> str:
    """Give the password and wait for the text; its code."""
    client.post("/sign-in", {"username": "owner", "password": PASSWORD})
    return code_of(Challenge.objects.get(id=client.session["pending_sign_in"]["challenge"]))


def to_sign_in(till: PairedTill) -> Any:
    make_owner(till.terminal.store.merchant, app=False)
    client, code = Client(), asked().code
    sign_in(client)
    return client.post("/sign-in/code", {"code": code})


def of_a_sign_in_before(till: PairedTill) -> Any:
    """Out by oneself, and in again with the text of the time before."""
    make_owner(till.terminal.store.merchant, app=False)
    client = Client()
    code = sign_in(client)
    client.post("/sign-in/code", {"code": code})
    assert SESSION_KEY in client.session
    client.post("/sign-out")
    sign_in(client)
    answer = client.post("/sign-in/code", {"code": code})
    assert SESSION_KEY not in client.session
    return answer


MISUSES: tuple[Callable[[PairedTill], Any], ...] = (
    twice,
    after_ten_minutes,
    after_five_wrong_ones,
    in_another_recovery,
    without_its_browser,
    at_another_terminal,
    after_the_phone_was_changed,
    to_sign_in,
    of_a_sign_in_before,
)


@pytest.mark.parametrize("misuse", MISUSES)
def test_T13_none_of_nine_other_uses_is_accepted(
    misuse: Callable[[PairedTill], Any], till: PairedTill
) -> None:
    refused = misuse(till)
    assert refused.status_code in (200, 410)
    cookies = {name: morsel.value for name, morsel in refused.cookies.items() if morsel.value}
    assert not cookies.keys() & {NAME, settings.SESSION_COOKIE_NAME}
    proved = Recovery.objects.exclude(proved_at=None).count()
    assert proved == (1 if misuse is twice else 0)


def test_T13_another_use_is_answered_like_a_wrong_code(till: PairedTill) -> None:
    one, other = asked(), asked()
    first, second = one.post("code", code=other.code), other.post("code", code=other.wrong_code)
    assert look(first)[3] == look(second)[3]
