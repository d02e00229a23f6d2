"""The ground tables: numbers with a structure, phones that are sealed and yet found."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.utils import IntegrityError

from portal.models import Merchant, Store, User, phone_digest, validate_merchant_number
from portal.secrets import Unreadable, decrypt, encrypt, keyed_digest, mask_phone
from tests.cast import make_merchant, make_owner, make_store

PHONE = "+8613800002046"


def raw(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        return repr(cursor.fetchall())


def test_a_merchant_number_has_a_structure() -> None:
    validate_merchant_number("898440158120031")


@pytest.mark.parametrize(
    "number",
    [
        "",
        "89844015812003",
        "8984401581200311",
        "89844015812003a",
        "８９８４４０１５８１２００３１",
        "-98440158120031",
        "+98440158120031",
        "8984401581200 1",
        "000440158120031",
        "898000058120031",
        "898440100000031",
        "²98440158120031",
    ],
)
def test_what_has_another_structure_is_no_merchant_number(number: str) -> None:
    with pytest.raises(ValidationError):
        validate_merchant_number(number)


@pytest.mark.django_db
def test_a_phone_is_sealed_at_rest_and_found_by_its_digest() -> None:
    merchant = make_merchant()
    make_owner(merchant)
    for table in ("portal_merchant", "portal_user"):
        assert "13800002046" not in raw(table)
    assert Merchant.objects.get(phone_digest=phone_digest(PHONE)).phone == PHONE
    assert merchant.masked_phone == "138****2046"


@pytest.mark.django_db
def test_a_changed_phone_takes_its_digest_along() -> None:
    merchant = make_merchant()
    merchant.phone = ""
    merchant.save()
    assert merchant.phone_digest == ""
    assert phone_digest("") == ""


@pytest.mark.django_db
def test_staff_belong_to_no_merchant() -> None:
    with pytest.raises(IntegrityError):
        User.objects.create(username="x", is_staff=True, merchant=make_merchant())


@pytest.mark.django_db
def test_a_store_has_its_name_once_per_merchant() -> None:
    store = make_store()
    with pytest.raises(IntegrityError):
        Store.objects.create(merchant=store.merchant, name=store.name)


def test_equal_texts_seal_differently_and_open_only_in_their_place() -> None:
    one, other = encrypt(PHONE, "a"), encrypt(PHONE, "a")
    assert one != other
    assert decrypt(one, "a") == PHONE
    for blob, place in (
        (one, "b"),
        (one[:-4] + "AAAA", "a"),
        ("v0." + one[3:], "a"),
        ("v1.", "a"),
        ("", "a"),
    ):
        with pytest.raises(Unreadable):
            decrypt(blob, place)


def test_digests_of_different_uses_differ() -> None:
    assert keyed_digest("a", "x") != keyed_digest("b", "x")
    assert keyed_digest("a", "x", "y") != keyed_digest("a", "xy")


@pytest.mark.parametrize(
    ("phone", "shown"), [(PHONE, "138****2046"), ("", ""), ("+85251234567", "+85****4567")]
)
def test_a_mask_shows_the_ends(phone: str, shown: str) -> None:
    assert mask_phone(phone) == shown
