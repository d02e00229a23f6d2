"""An attacker who uses up what is shared cannot lock the owner out (T16)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.test import RequestFactory
from django.utils import timezone

from portal import guessing, known_browsers, spending
from portal.limits import rate_of, shield, take
from portal.models import Allowance, Circuit, KnownBrowser, Merchant
from recovery.sources import source_of
from terminals import requests
from tests.cast import (
    PairedTill,
    make_merchant,
    make_owner,
    make_store,
    make_terminal,
    pair_on_paper,
    signed_in,
)
from tests.recovery.visitor import SHOP, Visitor, make_shop, texts_to

pytestmark = pytest.mark.django_db
BLOCK = "127.0.0.0/24"
COOKIE = settings.KNOWN_COOKIE_NAME
SHOPS = 10


def shop_number(number: int) -> PairedTill:
    merchant = make_merchant(number=f"8984401581{number:05}", phone=f"+861380000{number:04}")
    return pair_on_paper(make_terminal(store=make_store(merchant, f"店{number}")))


def burn(*merchants: Merchant) -> None:
    """Everything that strangers can use up, for these shops, this address block and everybody, is used up."""
    for merchant in merchants:
        for name, key in (
            ("sms-per-phone", merchant.phone),
            ("sms-per-merchant", merchant.number),
            ("sms-per-block", merchant.phone[:-4]),
            ("sms-per-address", BLOCK),
            ("sms-overall", ""),
            ("sms-per-dial-code", "86"),
        ):
            take(name, key)
    guessing.note_wrong(merchants[0].phone, real=True)
    Allowance.objects.exclude(limit__in=("sms-per-source", "sms-from-sources")).update(taken=10**6)
    Allowance.objects.filter(limit=spending.MONEY).delete()
    take(spending.MONEY, "", cost=int(rate_of(spending.MONEY).amount * 0.8))
    for name in ("identify", "user-code", "code"):
        while shield(name, BLOCK).ok:
            pass
    now = timezone.now()
    Circuit.objects.update_or_create(
        name="texts", defaults={"stopped_at": now, "retry_at": now + timedelta(minutes=10)}
    )
    Merchant.objects.update(texts_distrusted_at=now)


def recovers(visitor: Visitor, till: PairedTill) -> bool:
    """From the first page to a command, with the cookie of a browser that is known."""
    merchant = till.terminal.store.merchant
    answer = visitor.identify(shop=merchant.number, phone=merchant.phone[3:])
    if answer.status_code != 302:
        return False
    visitor.worker()
    visitor.post("code", code=visitor.code)
    visitor.choose()
    return bool(visitor.set_password().url == "/status" and visitor.recovery.command_id)


def recovers_at_till(till: PairedTill) -> bool:
    """The same from the terminal's screen, in a browser that was never here."""
    visitor, shown = Visitor(), requests.open_request(till.terminal, "03")
    if visitor.scan(shown, phone=till.terminal.store.merchant.phone[3:]).status_code != 302:
        return False
    visitor.worker()
    visitor.post("code", code=visitor.code)
    visitor.post("match", number=shown.match)
    return bool(visitor.set_password().url == "/status" and visitor.recovery.command_id)


def test_T16_owners_with_a_known_browser_or_at_the_till_get_in_fifty_times_of_fifty() -> None:
    tills = [shop_number(number) for number in range(1, SHOPS + 1)]
    browsers: list[Visitor] = []
    for till in tills:
        visitor = Visitor()
        visitor.client.defaults["REMOTE_ADDR"] = f"10.0.{len(browsers)}.1"
        assert recovers(visitor, till)
        visitor.client.defaults["REMOTE_ADDR"] = "127.0.0.1"
        browsers.append(visitor)
    burn(*[till.terminal.store.merchant for till in tills])
    assert Visitor().identify().status_code == 429, "a stranger waits"
    known = [recovers(visitor, till) for visitor, till in zip(browsers, tills, strict=True) for _ in range(3)]
    burn(*[till.terminal.store.merchant for till in tills])
    at_till = []
    for till in tills:
        at_till += [recovers_at_till(till) for _ in range(2)]
        Merchant.objects.update(texts_distrusted_at=timezone.now())
    assert (sum(known), sum(at_till)) == (30, 20)


def test_T16_a_stranger_has_no_share_of_that_kind() -> None:
    till = make_shop()
    burn(till.terminal.store.merchant)
    stranger = Visitor()
    stranger.client.defaults["REMOTE_ADDR"] = "10.9.9.9"
    stranger.identify()
    stranger.worker()
    assert texts_to() == 0


def test_T16_a_known_browsers_share_is_a_share_and_not_a_hole() -> None:
    till = make_shop()
    visitor = Visitor()
    visitor.prove()
    burn(till.terminal.store.merchant)
    before = texts_to()
    for _ in range(7):
        visitor.identify()
        visitor.worker()
        visitor.client.cookies.pop(settings.RECOVERY_COOKIE_NAME)
    assert texts_to() - before == 5


def test_T16_an_owner_who_is_signed_in_has_a_share_too() -> None:
    till = make_shop()
    merchant = till.terminal.store.merchant
    owner = Visitor(signed_in(make_owner(merchant)))
    burn(merchant)
    owner.client.post(f"/start/{till.terminal.pk}")
    owner.worker()
    assert texts_to() == 1


# ── the cookie ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def known() -> Visitor:
    make_shop()
    visitor = Visitor()
    visitor.prove()
    visitor.client.cookies.pop(settings.RECOVERY_COOKIE_NAME)
    return visitor


def source(visitor: Visitor) -> str:
    visitor.identify()
    return source_of(visitor.recovery, Merchant.objects.get(number=SHOP))


def test_the_browser_is_known_after_a_right_code_and_the_row_does_not_hold_the_cookie(known: Visitor) -> None:
    cookie = known.client.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 180 * 86_400)
    assert cookie.value.split(":")[0] not in repr(KnownBrowser.objects.values())
    assert source(known) == f"browser:{KnownBrowser.objects.get().pk}"


def test_a_code_that_has_only_been_asked_for_makes_no_browser_known() -> None:
    make_shop()
    visitor = Visitor()
    visitor.identify()
    visitor.worker()
    visitor.post("code", code=visitor.wrong_code)
    assert COOKIE not in visitor.client.cookies


def test_a_right_code_in_doubt_makes_no_browser_known() -> None:
    make_shop()
    Merchant.objects.update(texts_distrusted_at=timezone.now())
    visitor = Visitor()
    visitor.prove()
    assert COOKIE not in visitor.client.cookies


def new_phone() -> None:
    merchant = Merchant.objects.get()
    merchant.phone = "+8613800002099"
    merchant.save()


WORTHLESS: dict[str, Callable[[], object]] = {
    "over": lambda: KnownBrowser.objects.update(expires_at=timezone.now()),
    "forgotten": lambda: KnownBrowser.objects.all().delete(),
}


@pytest.mark.parametrize("why", WORTHLESS)
def test_a_known_browser_can_become_unknown(known: Visitor, why: str) -> None:
    WORTHLESS[why]()
    assert source(known) == ""


def test_a_new_phone_makes_it_worthless(known: Visitor) -> None:
    new_phone()
    known.identify(phone="13800002099")
    assert source_of(known.recovery, Merchant.objects.get()) == ""


def test_a_browser_is_known_for_the_shop_it_proved_and_no_other(known: Visitor) -> None:
    other = make_merchant(number="898440158120056")
    known.identify()
    assert source_of(known.recovery, other) == ""


@pytest.mark.parametrize("value", ["", "abc", "abc:def:ghi", "x" * 5000, "令牌"])
def test_a_cookie_that_we_did_not_make_is_none(value: str) -> None:
    request = RequestFactory().get("/")
    request.COOKIES[COOKIE] = value
    assert known_browsers.token_of(request) == ""


def test_after_half_a_year_it_is_forgotten(known: Visitor) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=181), tick=False):
        assert source(known) == ""
        assert known_browsers.sweep(timezone.now()) == 1
