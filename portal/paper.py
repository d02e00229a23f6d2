"""Codes on paper: drawn, written in fours, and read back so that slips are told. No Django here."""

from __future__ import annotations

import secrets
import unicodedata

# Print and handwriting tell all of these apart: neither 0 nor O, none of 1, I and L, no S beside 5 and no Z
# beside 2. Their number is a prime, so one weighted sum finds every slip and every pair that was swapped.
ALPHABET = "ABCDEFGHJKMNPQRTUVWXY23456789"
DRAWN = 15  # symbols of log2(29) bits: 72.9 bits in all
LENGTH = DRAWN + 1
MEANT = str.maketrans("SZ", "52")  # no such letter is on any sheet, so a reader meant the digit
BETWEEN = frozenset(" -\u2010\u2011\u2012\u2013\u2014\u2212._")


class Slip(ValueError):
    """What was typed cannot be a code. `reason` is length, letter or sum."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def draw() -> str:
    """A new code of 16 symbols, the last of which checks the others."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(DRAWN))
    return body + _check(body)


def written(code: str) -> str:
    """As it stands on paper.

    >>> written("ABCDEFGHJKMNPQRV")
    'ABCD-EFGH-JKMN-PQRV'
    """
    return "-".join(code[place : place + 4] for place in range(0, len(code), 4))


def read(text: str) -> str:
    """The 16 symbols that somebody typed from paper, however spaced. Raises Slip, which tells what is wrong.

    >>> read("abcd efgh jkmn pqrv") == "ABCDEFGHJKMNPQRV"
    True
    """
    folded = unicodedata.normalize("NFKC", text[:200]).upper().translate(MEANT)
    code = "".join(sign for sign in folded if sign not in BETWEEN and not sign.isspace())
    if len(code) != LENGTH:
        raise Slip("length")
    if any(sign not in ALPHABET for sign in code):
        raise Slip("letter")
    if _check(code[:DRAWN]) != code[DRAWN]:
        raise Slip("sum")
    return code


def _check(body: str) -> str:
    """The symbol that makes the weighted sum of all sixteen, weights 1 to 16, divisible by 29."""
    size = len(ALPHABET)
    total = sum(weight * ALPHABET.index(sign) for weight, sign in enumerate(body, 1))
    return ALPHABET[-total * pow(LENGTH, -1, size) % size]
