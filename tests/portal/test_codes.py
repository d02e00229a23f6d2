"""Codes: how they are made and what counts as one."""

from __future__ import annotations

from collections import Counter

import pytest

from portal.codes import derive_code, equal, normalise_code

PEPPER = b"p" * 32


def test_the_same_challenge_always_has_the_same_code() -> None:
    assert derive_code(PEPPER, "c1", "recovery") == derive_code(PEPPER, "c1", "recovery")


@pytest.mark.parametrize(
    "other", [(b"q" * 32, "c1", "recovery"), (PEPPER, "c2", "recovery"), (PEPPER, "c1", "sign-in")]
)
def test_another_pepper_challenge_or_purpose_has_another_code(other: tuple[bytes, str, str]) -> None:
    assert derive_code(*other) != derive_code(PEPPER, "c1", "recovery")


def test_codes_are_six_digits_spread_evenly() -> None:
    codes = [derive_code(PEPPER, f"c{i}", "recovery") for i in range(4000)]
    assert all(len(code) == 6 and code.isascii() and code.isdigit() for code in codes)
    assert len(set(codes)) > 3950
    firsts = Counter(code[0] for code in codes)
    assert all(300 < firsts[digit] < 500 for digit in "0123456789")


@pytest.mark.parametrize(
    "typed",
    [
        "123456",
        " 123456 ",
        "１２３４５６",
        "123 456",
        "１２３　４５６",
        "123\u00a0456",
        "\u3000１２３ ４５６\n",
    ],
)
def test_what_people_and_phones_write_is_understood(typed: str) -> None:
    assert normalise_code(typed) == "123456"


@pytest.mark.parametrize(
    "typed",
    [
        "", "12345", "1234567", "+12345", "+123456", "12345_6", "123_456", "-123456", "123-456", "123.456",
        "12345²", "¹²³⁴⁵⁶", "١٢٣٤٥٦", "१२३४५६", "123  456", "1 23456", "1 2 3 4 5 6", "123\u200b456",
        "\u200b123456", "123456\x00", "0x1234", "1e5000", "abcdef", "12 34 56", "9" * 10_000, "一二三四五六",
    ],
)  # fmt: skip
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert normalise_code(typed) is None


def test_comparison_tells_same_from_different() -> None:
    assert equal("123456", "123456")
    assert not equal("123456", "123457")
