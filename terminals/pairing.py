"""Pairing codes: made, read back however they were typed, and kept only as a keyed digest."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Final

# RFC 8628 §6.1: no vowels (no words), no letters that look alike.
ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
DIGITS: Final = "0123456789"
SELECTOR_LENGTH: Final = 3
LETTER_SECRET: Final = 6
DIGIT_SECRET: Final = 8

_TYPED_MAX: Final = 64
_SEPARATORS: Final = re.compile(r"[\s\-‐‑‒–—−_.·]+")
_LETTERS: Final = re.compile(rf"[{ALPHABET}]{{{SELECTOR_LENGTH + LETTER_SECRET}}}")
_NUMBER: Final = re.compile(rf"[0-9]{{{SELECTOR_LENGTH + DIGIT_SECRET + 1}}}")
_QR: Final = re.compile(r"REKEY1:(https?://[^|\s]{1,200})\|([^|]{1,64})\|([A-Za-z0-9_-]{43})")

# H. M. Damm's totally anti-symmetric quasigroup of order 10: catches every single slip and every swap
# of neighbours.
DAMM: Final = (
    "0317598642", "7092154863", "4206871359", "1750983426", "6123045978",
    "3674209581", "5869720134", "8945362017", "9438617205", "2581436790",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParsedCode:
    """One pairing code: the selector finds the record, the secret proves it."""

    selector: str
    secret: str

    @property
    def is_digits(self) -> bool:
        """Whether this is the form for digit keypads."""
        return self.selector[0] in DIGITS

    def shown(self) -> str:
        """`BCD-FGH-JKL`, or `123-4567-8901-2` with the check digit at the end."""
        if self.is_digits:
            body = self.selector + self.secret
            return f"{self.selector}-{self.secret[:4]}-{self.secret[4:]}-{check_digit(body)}"
        return f"{self.selector}-{self.secret[:3]}-{self.secret[3:]}"


@dataclass(frozen=True, slots=True)
class NewCode:
    """The two forms of a fresh pairing code; either pairs the terminal."""

    letters: ParsedCode
    digits: ParsedCode


def generate() -> NewCode:
    """A fresh code: 25.9 bits of secret in letters, 26.6 bits in digits."""
    return NewCode(
        letters=ParsedCode(_draw(ALPHABET, SELECTOR_LENGTH), _draw(ALPHABET, LETTER_SECRET)),
        digits=ParsedCode(_draw(DIGITS, SELECTOR_LENGTH), _draw(DIGITS, DIGIT_SECRET)),
    )


def _draw(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def check_digit(number: str) -> str:
    """The Damm check digit of a string of digits."""
    interim = 0
    for digit in number:
        interim = int(DAMM[interim][int(digit)])
    return str(interim)


def tidy(text: str) -> str:
    """A code without separators, in upper case and the plain forms of its signs."""
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).upper()


def normalise(text: str) -> ParsedCode | None:
    """Read a code as typed: case, separators and full-width forms are forgiven; None if it is no code."""
    if len(text) > _TYPED_MAX:
        return None
    plain = tidy(text)
    if _LETTERS.fullmatch(plain):
        return ParsedCode(plain[:SELECTOR_LENGTH], plain[SELECTOR_LENGTH:])
    if _NUMBER.fullmatch(plain) and check_digit(plain) == "0":
        return ParsedCode(plain[:SELECTOR_LENGTH], plain[SELECTOR_LENGTH:-1])
    return None


def digest(secret: str, pepper: bytes, selector: str) -> str:
    """HMAC-SHA256 (64 hex characters) of a secret under its selector; all that is kept of a code."""
    message = f"rekey-pairing/1|{selector}|{secret}".encode()
    return hmac.new(pepper, message, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class QrText:
    """What the pairing QR says: where to enroll, with which code, and which root to trust."""

    origin: str
    code: str
    root: str

    def __str__(self) -> str:
        return f"REKEY1:{self.origin}|{self.code}|{self.root}"


def parse_qr(text: str) -> QrText | None:
    """Read a scanned pairing QR; None if it is none of ours or of a later version."""
    match = _QR.fullmatch(text.strip())
    return QrText(*match.groups()) if match else None
