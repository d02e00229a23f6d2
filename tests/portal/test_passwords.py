"""Passwords that are refused: leaked, typical here, or about the shop; and good ones that are not."""

from __future__ import annotations

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from portal import passwords
from portal.models import User
from tests.cast import PASSWORD, make_merchant, make_store

pytestmark = pytest.mark.django_db
# The shop 福满楼 898440158120031, store 南门店, phone +8613800002046, account wangfang.
LEAKED = ["password1234", "Password123!", "qwertyuiop12", "iloveyou1314", "1q2w3e4r5t6y", "abc123456789"]
TYPICAL = [
    "woaini5201314", "5201314woaini", "1qaz2wsx3edc", "qazwsxedc123", "zhangwei1990", "wangwei888888",
    "aa123456789aa", "beijing2008aoyun", "gongxifacai888", "88888888abcd", "laopowoaini520", "123456789qwe",
]  # fmt: skip
OURS = [
    "wangfang-Kx83hf", "Kx83hf wang fang 7q", "13800002046Kx83hf", "00002046-Kx83hf-7", "898440158120031Kx",
    "Kx-5812-0031-hfpq", "福满楼的密码没人猜到", "我们南门店的老板真好看", "ＷＡＮＧＦＡＮＧ-Kx83hf",
]  # fmt: skip
GOOD = [
    PASSWORD,
    "lamp-sofa-river",
    "T7$kq9!mZp2x",
    "红烧肉配米饭真的好吃极了",
    "Zug um 7 nach Wien",
    "x" + "Kx83hfP2mqLw" * 9,
]


@pytest.fixture
def person() -> User:
    merchant = make_merchant()
    make_store(merchant)
    return User(username="wangfang", merchant=merchant, phone=merchant.phone)


def codes_of(password: str, person: User | None) -> set[str]:
    try:
        validate_password(password, person)
    except ValidationError as refusal:
        return {str(error.code) for error in refusal.error_list}
    return set()


@pytest.mark.parametrize("password", LEAKED + TYPICAL)
def test_what_is_on_lists_or_put_together_from_them_is_refused(password: str, person: User) -> None:
    assert len(password) >= 12
    assert "guessable" in codes_of(password, person)


@pytest.mark.parametrize("password", OURS)
def test_what_anybody_knows_who_knows_the_shop_is_refused(password: str, person: User) -> None:
    assert "shop" in codes_of(password, person)


@pytest.mark.parametrize("password", GOOD)
def test_a_good_one_is_taken(password: str, person: User) -> None:
    assert codes_of(password, person) == set()


def test_without_a_person_only_the_lists_speak() -> None:
    assert codes_of("wangfang-Kx83hf-7q", None) == set()
    assert "guessable" in codes_of("woaini5201314", None)


@pytest.mark.parametrize("password", ["88888888", "short", "", "七个字的密码啊"])
def test_short_ones_are_refused(password: str, person: User) -> None:
    assert "password_too_short" in codes_of(password, person)


def test_of_a_long_one_only_the_first_32_signs_are_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    weighed: list[str] = []

    def counted(plain: str, words: object) -> float:
        weighed.append(plain)
        return 1e12

    monkeypatch.setattr(passwords, "guesses", counted)
    codes_of("\ufdfa" * 256, None)
    assert list(map(len, weighed)) == [32]


@given(password=st.text(max_size=40))
def test_whatever_is_typed_is_judged(password: str) -> None:
    codes_of(password, None)


def test_what_is_typical_here_is_refused_because_it_is_listed(
    person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "TYPICAL", ())
    missed = [password for password in TYPICAL if "guessable" not in codes_of(password, person)]
    assert missed
