"""A code on paper is read back as it was meant, and every slip of the pen is told."""

from __future__ import annotations

from math import log2

import pytest

from portal.paper import ALPHABET, DRAWN, LENGTH, Slip, draw, read, written


def why(text: str) -> str:
    with pytest.raises(Slip) as refused:
        read(text)
    return refused.value.reason


def test_a_code_holds_64_bits_and_more() -> None:
    assert DRAWN * log2(len(ALPHABET)) >= 64
    assert len({draw() for _ in range(200)}) == 200


@pytest.mark.parametrize(
    "how", [str.lower, str.strip, lambda text: text.replace("-", " "), lambda t: f" {t}\n"]
)
def test_it_is_read_however_it_was_typed(how: object) -> None:
    code = draw()
    assert read(how(written(code))) == code  # type: ignore[operator]


def test_full_width_signs_and_letters_that_stand_on_no_sheet_are_understood() -> None:
    code = next(code for code in (draw() for _ in range(1000)) if "5" in code and "2" in code)
    assert read(code.replace("5", "S").replace("2", "Z")) == code
    assert read("".join(chr(ord(sign) + 0xFEE0) for sign in code)) == code


def test_every_wrong_symbol_is_told() -> None:
    code = draw()
    for place in range(LENGTH):
        others = set(ALPHABET) - {code[place]}
        assert {why(code[:place] + other + code[place + 1 :]) for other in others} == {"sum"}


def test_every_pair_that_was_swapped_is_told() -> None:
    code = draw()
    for one in range(LENGTH):
        for other in range(one):
            signs = list(code)
            signs[one], signs[other] = signs[other], signs[one]
            if code[one] != code[other]:
                assert why("".join(signs)) == "sum"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "length"),
        ("ABCD", "length"),
        ("A" * 500, "length"),
        ("ABCD-EFGH-JKMN-PQR0", "letter"),
        ("²" * 16, "sum"),
    ],
)
def test_what_is_wrong_is_told(text: str, reason: str) -> None:
    assert why(text) == reason
