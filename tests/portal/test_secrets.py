"""Digests that need the pepper, columns that need the key, and masks for people."""

from __future__ import annotations

import base64

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from portal.models import Merchant
from portal.secrets import Unreadable, decrypt, encrypt, keyed_digest, mask_phone, pepper

OTHER_KEY = base64.b64encode(b"another-key-for-tests-only-01234").decode()


def test_the_pepper_is_bytes_of_the_setting() -> None:
    assert pepper() == b"pepper-for-tests-only-0123456789"


def test_a_digest_depends_on_pepper_purpose_and_every_part() -> None:
    digests = {
        keyed_digest("phone", "+8613800002046"),
        keyed_digest("browser", "+8613800002046"),
        keyed_digest("phone", "+8613800002047"),
        keyed_digest("phone", "+86138", "00002046"),
        keyed_digest("phone", "+8613800002046", ""),
    }
    with override_settings(REKEY_PEPPER=OTHER_KEY):
        digests.add(keyed_digest("phone", "+8613800002046"))
    assert len(digests) == 6
    assert all(len(digest) == 64 for digest in digests)


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_what_is_sealed_opens_again(text: str) -> None:
    assert decrypt(encrypt(text, "portal.merchant.phone"), "portal.merchant.phone") == text


def test_equal_texts_seal_differently() -> None:
    assert encrypt("x", "a") != encrypt("x", "a")


@pytest.mark.parametrize("context", ["portal.user.phone", "portal.merchant.phone ", ""])
def test_a_sealed_value_opens_in_its_own_column_only(context: str) -> None:
    with pytest.raises(Unreadable):
        decrypt(encrypt("+8613800002046", "portal.merchant.phone"), context)


def test_another_key_opens_nothing() -> None:
    blob = encrypt("x", "a")
    with override_settings(REKEY_FIELD_KEY=OTHER_KEY), pytest.raises(Unreadable):
        decrypt(blob, "a")


@pytest.mark.parametrize("position", [3, 10, 25, -2])
def test_a_changed_character_opens_nothing(position: int) -> None:
    blob = encrypt("+8613800002046", "a")
    changed = list(blob)
    changed[position] = "A" if changed[position] != "A" else "B"
    with pytest.raises(Unreadable):
        decrypt("".join(changed), "a")


@pytest.mark.parametrize(
    "blob", ["", "v1.", "v1.AAAA", "v2.AAAA", "+8613800002046", "v1.not base64!", "v1.好"]
)
def test_what_was_never_sealed_is_refused(blob: str) -> None:
    with pytest.raises(Unreadable):
        decrypt(blob, "a")


@pytest.mark.parametrize(
    ("phone", "mask"),
    [("+8613800002046", "138****2046"), ("+85261234567", "+85****4567"), ("", "")],
)
def test_people_see_the_ends_of_a_number_only(phone: str, mask: str) -> None:
    assert mask_phone(phone) == mask


@pytest.mark.django_db
def test_a_phone_is_ciphertext_in_its_table_and_text_in_python() -> None:
    merchant = Merchant.objects.create(number="898440158120099", legal_name="福满楼", phone="+8613800002046")
    raw = Merchant.objects.raw("SELECT id, phone AS seen FROM portal_merchant WHERE id = %s", [merchant.pk])[
        0
    ]
    assert raw.seen.startswith("v1.")  # type: ignore[attr-defined]
    assert "13800002046" not in raw.seen  # type: ignore[attr-defined]
    assert Merchant.objects.get(pk=merchant.pk).phone == "+8613800002046"
