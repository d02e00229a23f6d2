"""Pairing codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminals.pairing import (
    ALPHABET,
    ParsedCode,
    QrText,
    check_digit,
    digest,
    generate,
    normalise,
    parse_qr,
)

THUMBPRINT = "5wJ55U2yX0K8BQZaEW4de93CznLV7b7oRzJTS09cmWg"


def test_a_fresh_code_has_two_forms_that_read_back() -> None:
    for _ in range(50):
        code = generate()
        assert normalise(code.letters.shown()) == code.letters
        assert normalise(code.digits.shown()) == code.digits
        assert not code.letters.is_digits
        assert code.digits.is_digits


def test_codes_do_not_repeat() -> None:
    assert len({generate().letters for _ in range(500)}) == 500


@pytest.mark.parametrize(
    "typed",
    [
        "BCD-FGH-JKL", "bcd-fgh-jkl", "bcdfghjkl", " BCD FGH JKL ", "BCD–FGH—JKL", "ＢＣＤ－ＦＧＨ－ＪＫＬ",
        "bcd.fgh.jkl", "BCD_FGH_JKL", "b c d f g h j k l", "BCD\u00a0FGH\u3000JKL\n",
    ],
)  # fmt: skip
def test_case_separators_and_full_width_are_forgiven(typed: str) -> None:
    assert normalise(typed) == ParsedCode("BCD", "FGHJKL")


@pytest.mark.parametrize(
    "typed", ["", "BCD-FGH-JK", "BCD-FGH-JKLM", "ACD-FGH-JKL", "BCD/FGH/JKL", "1" * 9, "B" * 65]
)
def test_what_is_no_code_is_none(typed: str) -> None:
    assert normalise(typed) is None


@given(st.text(alphabet="0123456789", min_size=11, max_size=11), st.integers(0, 11), st.integers(1, 9))
def test_a_single_slip_in_the_digits_is_noticed(body: str, place: int, by: int) -> None:
    code = body + check_digit(body)
    slipped = code[:place] + str((int(code[place]) + by) % 10) + code[place + 1 :]
    assert normalise(code) == ParsedCode(body[:3], body[3:])
    assert normalise(slipped) is None


@given(st.text(alphabet="0123456789", min_size=11, max_size=11), st.integers(0, 10))
def test_swapped_neighbours_in_the_digits_are_noticed(body: str, place: int) -> None:
    code = body + check_digit(body)
    swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    assert swapped == code or normalise(swapped) is None


def test_the_check_digit_is_that_of_damm() -> None:
    assert check_digit("572") == "4"
    assert check_digit("5724") == "0"


@given(st.text(max_size=100))
def test_any_text_is_a_code_or_none(typed: str) -> None:
    parsed = normalise(typed)
    if parsed:
        assert set(parsed.selector + parsed.secret) <= set(ALPHABET + "0123456789")


def test_the_digest_depends_on_secret_pepper_and_selector() -> None:
    digests = {
        digest("FGHJKL", b"p", "BCD"),
        digest("FGHJKM", b"p", "BCD"),
        digest("FGHJKL", b"q", "BCD"),
        digest("FGHJKL", b"p", "BCF"),
    }
    assert len(digests) == 4
    assert {len(value) for value in digests} == {64}


def test_the_qr_names_origin_code_and_root() -> None:
    qr = QrText("https://rekey.example", "BCD-FGH-JKL", THUMBPRINT)
    assert str(qr) == f"REKEY1:https://rekey.example|BCD-FGH-JKL|{THUMBPRINT}"
    assert parse_qr(str(qr)) == qr


@pytest.mark.parametrize(
    "text", ["", "REKEY2:https://a|BCD|" + THUMBPRINT, "REKEY1:ftp://a|B|" + THUMBPRINT, "BCD-FGH-JKL"]
)
def test_other_qr_texts_are_not_ours(text: str) -> None:
    assert parse_qr(text) is None
