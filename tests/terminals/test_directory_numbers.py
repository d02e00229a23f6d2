"""However a telephone number is written, it is one number; and no two numbers are one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminals.directory.numbers import beginnings, canonical

SAME = {
    "4005550100": [
        "400-555-0100",
        "400 555 0100",
        "４００－５５５－０１００",
        "+86 400-555-0100",
        "0086 4005550100",
        "(400) 555 0100",
        "400—555—0100",
        "\u202d400-555-0100\u202c",
        "400\u00a0555\u00a00100",
        "864005550100",
        "Tel: 400 555 0100",
        "电话：400-555-0100",
        "400.555.0100",
    ],
    "8005550100": ["800-555-0100", "+86-800-555-0100"],
    "95599": ["95599", "9 5 5 9 9", "９５５９９", "+86 95599"],
    "955990": ["955990"],
    "13800002046": [
        "138 0000 2046",
        "+86 138-0000-2046",
        "8613800002046",
        "008613800002046",
        "+8613800002046",
    ],
    "01055550100": ["010-5555 0100", "+86 10 5555 0100", "+86 (010) 5555-0100", "０１０－５５５５０１００"],
    "07555550100": ["0755-555 0100", "+86 755 5550100"],
    "01095599": ["010-95599"],
    "12315": ["12315"],
    "+85255550100": ["+852 5555 0100", "00852 5555 0100"],
}
NONE = [
    "",
    " ",
    "12",
    "abc",
    "400-555-O100",
    "٤٠٠٥٥٥٠١٠٠",
    "400 555 0100 转 2",
    "+86 +86 4005550100",
    "++86",
    "+86",
    "4" * 19,
    "1" * 61,
    "400\x00555",
    "²²²²",
    "=1+2",
    "{{7*7}}",
    "400,555",
    "95599;95588",
]


@pytest.mark.parametrize(("digits", "written"), [(d, w) for d, all_of in SAME.items() for w in all_of])
def test_a_number_is_one_however_it_is_written(digits: str, written: str) -> None:
    assert canonical(written) == digits


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_number_is_none(text: str) -> None:
    assert canonical(text) == ""


@given(st.text(max_size=80))
def test_nothing_that_is_typed_breaks_it(text: str) -> None:
    digits = canonical(text)
    assert digits == "" or (digits.removeprefix("+").isdecimal() and digits.isascii() and len(digits) <= 19)
    assert canonical(digits) == digits
    assert all(len(start) in range(2, 17) for start in beginnings(text))


def test_a_serial_number_begins_with_all_that_a_prefix_may_be() -> None:
    assert beginnings(" rk20 ") == ["RK20", "RK2", "RK"]
    assert len(beginnings("RK" + "7" * 30)) == 15
    assert beginnings("R") == beginnings("终端") == beginnings("RK%") == beginnings("") == []
