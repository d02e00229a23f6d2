"""Codes that people type: derived, normalised, compared. No Django here."""

from __future__ import annotations

import hashlib
import hmac
import re

DIGITS = 6
_SIX = re.compile(r"[0-9]{6}")
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


def equal(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
