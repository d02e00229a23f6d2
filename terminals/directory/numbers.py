"""Telephone numbers however they were written, and what is typed to find an entry. No Django."""

from __future__ import annotations

import re

LONGEST = 60
# Signs of ASCII as wide as a Han character; superscripts and the like stay what they are.
FULL_WIDTH = {sign: sign - 0xFEE0 for sign in range(0xFF01, 0xFF5F)}
# What stands between and around digits: any space or dash, brackets, full stops, and marks of direction.
BETWEEN = re.compile(
    "[\\s()\\[\\]./\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\u2010-\u2015\u2212-]"
)
BEFORE = re.compile("(?:tel|phone|call|电话|热线|客服|拨打)*:?", re.IGNORECASE)
NUMBER = re.compile("(?:[+]|00)?[0-9]{3,18}")
HOME = re.compile("(?:[+]|00)86")
# After 86 without a sign only what is a whole number by itself is one: a mobile, 400 or 800, or an area code.
HOME_UNSIGNED = re.compile("86(?=(?:1[3-9][0-9]{9}|[48]00[0-9]{7})$)")
# A place's own number behind the country code lacks its 0: 10 and 2x have eight digits more, others 7 or 8.
PLACE = re.compile("(?:10|2[0-9])[0-9]{8}|[3-9][0-9]{2}[0-9]{7,8}")
NO_PLACE = re.compile("[48]00[0-9]{7}|1[3-9][0-9]{9}")
KEY_LONGEST, KEY_SHORTEST = 16, 2


def plain(text: str) -> str:
    """Full-width signs as the usual ones, without spaces around."""
    return text.translate(FULL_WIDTH).strip()


def canonical(text: str) -> str:
    """The digits by which a number is compared; abroad they keep their plus; empty when it is no number.

    `+86 400-810-8888`, `４００ ８１０ ８８８８` and `4008108888` are one; 010-95588 and 95588 are two.
    """
    if len(text) > LONGEST:
        return ""
    text = BETWEEN.sub("", plain(text))
    text = text[len(found[0]) :] if (found := BEFORE.match(text)) else text
    if not NUMBER.fullmatch(text):
        return ""
    home = HOME.match(text) or HOME_UNSIGNED.match(text)
    if home is None:
        return f"+{text[2:]}" if text.startswith("00") else text
    rest = text[home.end() :]
    if PLACE.fullmatch(rest) and not NO_PLACE.fullmatch(rest):
        return f"0{rest}"
    return rest if len(rest) >= 3 else ""


def beginnings(text: str) -> list[str]:
    """All that a number on a machine or a receipt begins with, longest first; empty if it is none."""
    key = re.sub(r"\s", "", plain(text)).upper()
    if not re.fullmatch("[0-9A-Z-]{2,40}", key):
        return []
    return [key[:length] for length in range(min(len(key), KEY_LONGEST), KEY_SHORTEST - 1, -1)]
