"""Check digits of the two documents a shop has: business licence (GB 32100) and identity card (GB 11643)."""

from __future__ import annotations

import re
import unicodedata

LICENCE_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
LICENCE = re.compile(rf"[{LICENCE_SIGNS}]{{18}}")
IDENTITY = re.compile(r"[0-9]{17}[0-9X]")
IDENTITY_CHECKS = "10X98765432"
SPACES = re.compile(r"[ \u3000-]")


def tidy(typed: str) -> str:
    """The number in its one written form: half width, capitals, no spaces."""
    return SPACES.sub("", unicodedata.normalize("NFKC", typed)).upper()


def is_licence(number: str) -> bool:
    """Whether it is a unified social credit code whose check sign is right (GB 32100-2015, base 31, 3^i).

    >>> is_licence("91350100M000100Y43")
    True
    """
    if LICENCE.fullmatch(number) is None:
        return False
    total = sum(LICENCE_SIGNS.index(sign) * pow(3, place, 31) for place, sign in enumerate(number[:17]))
    return LICENCE_SIGNS[-total % 31] == number[17]


def is_identity(number: str) -> bool:
    """Whether it is an identity number whose check sign is right (GB 11643-1999, ISO 7064 MOD 11-2).

    >>> is_identity("11010519491231002X")
    True
    """
    if IDENTITY.fullmatch(number) is None:
        return False
    total = sum(int(sign) * pow(2, 17 - place, 11) for place, sign in enumerate(number[:17]))
    return IDENTITY_CHECKS[total % 11] == number[17]
