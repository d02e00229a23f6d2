"""How a phone number is read: as people and phones write it, and nothing else (security §4d)."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from portal.forms import PhoneField

ACCEPTED = [
    "13800138000",
    "１３８００１３８０００",
    "138 0013 8000",
    "138-0013-8000",
    "138－0013－8000",
    "+8613800138000",
    "+86 138 0013 8000",
    "＋８６ １３８ ００１３ ８０００",
    "008613800138000",
    "0086-138-0013-8000",
    "8613800138000",
    "(+86) 138 0013 8000",
    "138\u00a00013\u00a08000",
    "\u202d13800138000\u202c",
    "\u202d+86 138-0013-8000\u202c",
    "\u2068138 0013 8000\u2069",
    " 13800138000\n",
    "138\u30000013\u30008000",
    "138\u20110013\u20118000",
    13800138000,
]
REFUSED = [
    "1380013800",
    "138001380000",
    "12800138000",
    "010-62345678",
    "02162345678",
    "+8601062345678",
    "+86 +86 13800138000",
    "8686 13800138000",
    "١٣٨٠٠١٣٨٠٠٠",
    "१३८००१३८०००",
    "l3800138000",
    "138O0138000",
    "1380013800O",
    "13800138000x12",
    "13800138000,12",
    "13800138000;ext=1",
    "13800138000 12",
    "1064812345678",
    "10648123456789012",
    "+14155552671",
    "+85251234567",
    "4155552671",
    "1380013\x008000",
    "13800138000\x00",
    "138\u200b00138000",
    "tel:13800138000",
    "1e10",
    "=13800138000",
    "{{7*7}}",
    "1" * 10_000,
    "-",
    "+",
    "一三八零零一三八零零零",
    "138.0013.8000",
    "¹³⁸⁰⁰¹³⁸⁰⁰⁰",
]


@pytest.mark.parametrize("typed", ACCEPTED)
def test_a_mobile_number_is_understood_however_it_is_written(typed: object) -> None:
    assert PhoneField().clean(typed) == "+8613800138000"


@pytest.mark.parametrize("typed", REFUSED)
def test_anything_else_is_refused_with_words(typed: str) -> None:
    with pytest.raises(ValidationError) as refused:
        PhoneField().clean(typed)
    assert len(refused.value.messages) == 1


@pytest.mark.parametrize("typed", ["", None, "  ", "\u202d\u202c"])
def test_nothing_is_nothing_when_nothing_is_allowed(typed: str | None) -> None:
    assert PhoneField(required=False).clean(typed) == ""
    with pytest.raises(ValidationError):
        PhoneField().clean(typed)


@pytest.mark.parametrize(
    "prefix", ["130", "147", "150", "159", "166", "171", "173", "180", "189", "191", "198", "199"]
)
def test_every_kind_of_mobile_number_counts(prefix: str) -> None:
    assert PhoneField().clean(prefix + "00138000") == f"+86{prefix}00138000"
