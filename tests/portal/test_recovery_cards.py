"""What is kept and told about a card of recovery codes, and that a neighbour's card is none of it."""

from __future__ import annotations

import re

import pytest
import time_machine
from django.conf import LazySettings
from django.utils import timezone, translation

from portal import recovery_codes
from portal.audit import Tag
from portal.models import AuditEvent, Merchant, Message, RecoveryCode
from tests.cast import make_merchant, make_other_merchant, make_owner, signed_in

pytestmark = pytest.mark.django_db
BY = "user:7"


@pytest.fixture
def merchant() -> Merchant:
    return make_merchant()


@pytest.fixture
def neighbour() -> Merchant:
    return make_other_merchant()


def test_T37_a_new_card_leaves_the_neighbours_alone(merchant: Merchant, neighbour: Merchant) -> None:
    theirs = recovery_codes.make(neighbour, BY)
    recovery_codes.use(neighbour, theirs[0], "rec_1")
    recovery_codes.make(merchant, BY)
    assert (recovery_codes.left(merchant), recovery_codes.left(neighbour)) == (10, 9)
    assert recovery_codes.use(neighbour, theirs[1], "rec_2")


def test_the_card_on_the_page_is_the_shops_own_and_the_newest(
    merchant: Merchant, neighbour: Merchant
) -> None:
    assert recovery_codes.sheet_of(merchant) is None
    with time_machine.travel(timezone.now(), tick=False) as clock:
        old = recovery_codes.make(merchant, BY)
        recovery_codes.use(merchant, old[0], "rec_1")
        clock.shift(60)
        made_at = timezone.now()
        recovery_codes.make(merchant, BY)
        clock.shift(60)
        recovery_codes.use(neighbour, recovery_codes.make(neighbour, BY)[0], "rec_2")
    sheet = recovery_codes.sheet_of(merchant)
    assert sheet is not None
    assert (sheet.made_at, sheet.left, sheet.used_at) == (made_at, 10, None)
    rows = RecoveryCode.objects.filter(merchant=merchant, created_at=made_at)
    assert set(rows.values_list("sheet", "created_by")) == {(sheet.number, BY)}


def test_the_last_use_is_told_and_none_before_there_is_one(merchant: Merchant) -> None:
    codes, used = recovery_codes.make(merchant, BY), []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for code in codes[:2]:
            clock.shift(60)
            recovery_codes.use(merchant, code, "rec_1")
            used.append(timezone.now())
    sheet = recovery_codes.sheet_of(merchant)
    assert sheet is not None and sheet.used_at == used[1]


def test_a_cards_number_is_two_groups_of_three_and_stands_on_the_record(merchant: Merchant) -> None:
    code = recovery_codes.make(merchant, BY)[0]
    recovery_codes.use(merchant, code, "rec_1")
    sheet = recovery_codes.sheet_of(merchant)
    assert sheet is not None and re.fullmatch("[A-Z2-9]{3}-[A-Z2-9]{3}", sheet.number)
    on_record = AuditEvent.objects.filter(tag__in=[Tag.CODES_MADE, Tag.CODE_USED]).order_by("pk")
    assert list(on_record.values_list("tag", "actor", "merchant", "subject")) == [
        (Tag.CODES_MADE, BY, merchant.pk, sheet.number),
        (Tag.CODE_USED, "rec_1", merchant.pk, sheet.number),
    ]


@pytest.mark.parametrize("language", ["en", "zh-hans", None])
def test_the_text_about_it_is_in_the_language_of_the_page_and_names_the_hotline(
    merchant: Merchant, language: str | None, settings: LazySettings
) -> None:
    settings.LANGUAGE_CODE = "zh-hans"
    with translation.override(language):
        recovery_codes.make(merchant, BY)
    message = Message.objects.get()
    assert (message.locale, message.phone) == (language or "zh-hans", merchant.phone)
    assert message.facts["hotline"] == settings.REKEY_HOTLINE


def test_a_shop_without_a_phone_gets_its_card_and_no_text() -> None:
    merchant = make_merchant(phone="")
    assert len(recovery_codes.make(merchant, BY)) == 10
    assert not Message.objects.exists()


@pytest.mark.parametrize(("used", "few"), [(6, False), (7, True)])
def test_the_page_says_when_few_are_left(merchant: Merchant, used: int, few: bool) -> None:
    owner, codes = signed_in(make_owner(merchant)), recovery_codes.make(merchant, BY)
    for code in codes[:used]:
        recovery_codes.use(merchant, code, "rec_1")
    page = owner.get("/proofs", headers={"Accept-Language": "en"}).content.decode()
    assert ("Few codes are left" in page) == few
