"""Codes that people type: derived, normalised, compared. No Django here."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata

DIGITS = 6
_SIX = re.compile(r"[0-9]{6}")
# For numbers that are read out on the phone: letters and digits that cannot be taken for each other, and no
# vowels, so that they never make a word.
NUMBER_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ23456789"
NUMBER_LENGTH = 8  # symbols of log2(28) bits: 38.4 bits in all
_NUMBER = re.compile(f"[{NUMBER_ALPHABET}]{{{NUMBER_LENGTH}}}")
_BETWEEN = re.compile("[ \u00a0\u3000\u2010-\u2015\u2212-]")
# Full-width digits and one space in the middle are how phones and people write a code.
_FULL_WIDTH = {0xFF10 + digit: str(digit) for digit in range(10)}
_MIDDLE = re.compile(r"([0-9]{3})[ \u00a0\u3000]([0-9]{3})")


def derive_code(pepper: bytes, challenge_id: str, purpose: str, digits: int = DIGITS) -> str:
    """The six digits of one challenge, by dynamic truncation of an HMAC-SHA256 (after RFC 4226, section 5.3).

    Nothing has to be stored: a resend derives the same code again, and without the pepper a database dump
    holds no codes.
    """
    mac = hmac.new(pepper, f"code\x1f{purpose}\x1f{challenge_id}".encode(), hashlib.sha256).digest()
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 8], "big") & 0x7FFF_FFFF_FFFF_FFFF
    return str(number % 10**digits).zfill(digits)


def normalise_code(text: str) -> str | None:
    """The six ASCII digits that somebody meant, or None when it cannot be a code at all.

    >>> normalise_code(" １２３ 456 "), normalise_code("+12345"), normalise_code("12345²")
    ('123456', None, None)
    """
    folded = _MIDDLE.sub(r"\1\2", text.strip().translate(_FULL_WIDTH))
    return folded if _SIX.fullmatch(folded) else None


def derive_number(pepper: bytes, seed: str) -> str:
    """A number to type or to quote, such as `C7F3-K229`, that nothing has to keep."""
    mac = hmac.new(pepper, f"number\x1f{seed}".encode(), hashlib.sha256).digest()
    left, text = int.from_bytes(mac, "big"), ""
    for _ in range(NUMBER_LENGTH):
        left, place = divmod(left, len(NUMBER_ALPHABET))
        text += NUMBER_ALPHABET[place]
    return f"{text[:4]}-{text[4:]}"


def read_number(text: str) -> str | None:
    """The number that somebody meant, or None when it cannot be one.

    >>> read_number(" c7f3 ｋ229 "), read_number("C7F3-K22")
    ('C7F3-K229', None)
    """
    plain = _BETWEEN.sub("", unicodedata.normalize("NFKC", text[:40])).upper()
    return f"{plain[:4]}-{plain[4:]}" if _NUMBER.fullmatch(plain) else None


def equal(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
