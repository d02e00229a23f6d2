"""What if the phone, the till or both are lost: the page says what the gates say, and what helps."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations

import pytest
from django.test import Client
from django.utils import timezone

from portal import recovery_codes
from portal.devices import TOTPDevice
from portal.models import Merchant
from recovery.gates.decide import Subject, authorize
from recovery.gates.floors import Door, Method, Target
from recovery.models import GatePolicy
from recovery.policies import policy_of
from recovery.what_if import GONE, Lost, everything_of, what_if
from tests.cast import make_merchant, make_owner, make_terminal, pair_on_paper, signed_in
from tests.recovery.test_proving_by_address import name

pytestmark = pytest.mark.django_db
ENGLISH = {"Accept-Language": "en"}
MAIL, PAPER, CONTACT, SMS, TILL, APP = (
    Method.EMAIL,
    Method.RECOVERY_CODE,
    Method.CONTACT,
    Method.SMS,
    Method.POSSESSION,
    Method.TOTP,
)


@pytest.fixture
def shop() -> Merchant:
    shop = make_merchant()
    pair_on_paper(make_terminal(shop))
    return shop


def left(shop: Merchant, lost: Lost) -> list[set[frozenset[Method]]]:
    return [{frozenset(way) for way in each.ways} for each in what_if(shop, lost)]


def missing(shop: Merchant, lost: Lost) -> list[tuple[Method, ...]]:
    return [each.missing for each in what_if(shop, lost)]


def one(*methods: Method) -> set[frozenset[Method]]:
    return {frozenset(methods)}


def test_with_the_phone_alone_a_lost_phone_leaves_nothing_and_the_page_says_what_to_add(
    shop: Merchant,
) -> None:
    assert left(shop, Lost.PHONE) == [set(), set()]
    assert missing(shop, Lost.PHONE) == [(MAIL,), (MAIL,)]
    assert missing(shop, Lost.BOTH) == [(MAIL,), (PAPER, MAIL)]
    assert left(shop, Lost.TILL) == [one(SMS), set()]
    assert missing(shop, Lost.TILL)[1] == (PAPER,)


def test_a_mailbox_and_a_card_open_both_without_phone_and_till(shop: Merchant) -> None:
    name("email", "chen@example.com")
    recovery_codes.make(shop, "test")
    assert left(shop, Lost.BOTH) == [one(MAIL), one(MAIL, PAPER)]
    assert left(shop, Lost.PHONE) == [one(MAIL), one(MAIL, PAPER) | one(MAIL, TILL)]


def test_paper_and_a_contact_never_stand_by_themselves(shop: Merchant) -> None:
    recovery_codes.make(shop, "test")
    name("phone", "+8613900003057", "contact")
    assert left(shop, Lost.BOTH) == [set(), set()]
    assert missing(shop, Lost.BOTH) == [(MAIL,), (MAIL,)]


def test_an_app_is_gone_with_the_phone_and_there_when_the_till_is(shop: Merchant) -> None:
    TOTPDevice.objects.create(user=make_owner(shop), name="app", confirmed=True)
    assert left(shop, Lost.PHONE) == [set(), set()]
    assert left(shop, Lost.TILL) == [one(SMS) | one(APP), one(SMS, APP)]


def test_with_two_tills_one_is_left(shop: Merchant) -> None:
    assert left(shop, Lost.TILL)[1] == set()
    pair_on_paper(make_terminal(shop, number="A0018802", serial="SN-0002"))
    assert left(shop, Lost.TILL)[1] == one(SMS, TILL)


def test_a_mailbox_that_was_just_named_opens_the_cashier_and_not_the_supervisor(shop: Merchant) -> None:
    name("email", "chen@example.com", held_until=timezone.now() + timedelta(hours=70))
    recovery_codes.make(shop, "test")
    assert left(shop, Lost.BOTH) == [one(MAIL), set()]


def test_a_phone_that_nobody_confirmed_is_to_be_confirmed(shop: Merchant) -> None:
    recovery_codes.make(shop, "test")
    Merchant.objects.update(phone_confirmed_at=timezone.now() - timedelta(days=91))
    shop.refresh_from_db()
    assert left(shop, Lost.TILL) == [one(SMS), set()]
    assert missing(shop, Lost.TILL)[1] == (SMS,)


def test_rules_above_the_floors_count(shop: Merchant) -> None:
    name("email", "chen@example.com")
    recovery_codes.make(shop, "test")
    GatePolicy.objects.create(shut=[Method.EMAIL])
    assert left(shop, Lost.PHONE) == [set(), set()]
    assert missing(shop, Lost.PHONE) == [(), ()]


@pytest.mark.parametrize("lost", Lost)
def test_what_the_page_promises_is_what_the_gates_say(shop: Merchant, lost: Lost) -> None:
    name("email", "chen@example.com")
    name("phone", "+8613900003057", "contact")
    recovery_codes.make(shop, "test")
    TOTPDevice.objects.create(user=make_owner(shop), name="app", confirmed=True)
    having = [proof for proof in everything_of(shop) if proof.method not in GONE[lost]]
    for each, target in zip(what_if(shop, lost), (Target.OPERATOR, Target.SUPERVISOR), strict=True):
        promised = [set(way) for way in each.ways]
        for size in range(1, len(having) + 1):
            for proofs in combinations(having, size):
                yes = authorize(Subject(target, Door.BROWSER, proofs, policy=policy_of(shop))).allowed
                methods = {proof.method for proof in proofs}
                assert yes == any(way <= methods for way in promised), (target, methods)


def test_an_owner_sees_it_and_is_led_to_what_is_missing(shop: Merchant) -> None:
    client = signed_in(make_owner(shop))
    assert "/proofs/what-if" in client.get("/proofs").content.decode()
    page = client.get("/proofs/what-if", headers=ENGLISH).content.decode()
    assert page.count("only support") == 4
    assert 'href="/proofs/new"' in page and 'href="/proofs/paper"' in page


def test_nobody_else_sees_it() -> None:
    assert Client().get("/proofs/what-if").status_code == 302
