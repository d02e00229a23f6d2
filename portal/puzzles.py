"""A small sum for browsers that ask for texts often: proof of work, ours alone, so it works anywhere (T04).

A browser looks for the number that, behind the text of the puzzle, makes a SHA-256 begin with so many zero
bits. Each puzzle is signed, good for one request and for ten minutes, and taken once. A browser without
scripts waits instead.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass

from django.conf import settings
from django.core.signing import BadSignature, Signer

from portal.limits import shield, take
from portal.secrets import keyed_digest

LIFE_S = 600
WAIT_S = 60
ANSWER = re.compile(r"[0-9]{1,12}")
SHAPE = re.compile(r"([0-9]{1,2})\.([0-9]{10})\.([A-Za-z0-9_-]{16})\.([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class Puzzle:
    """What is printed on the page: the signed text, how hard it is, and since when it is there."""

    text: str
    bits: int
    issued: int
    nonce: str

    @property
    def wait(self) -> int:
        """Seconds until a browser that cannot count may go on."""
        return max(0, self.issued + WAIT_S - int(time.time()))


def is_due(key: str) -> bool:
    """Count a start of this browser or address block; whether it has had those that are free."""
    return settings.REKEY_PUZZLE_BITS > 0 and not shield("starts-without-puzzle", key).ok


def set_puzzle(*about: str) -> Puzzle:
    """A new puzzle for a request about these things."""
    bits, issued, nonce = settings.REKEY_PUZZLE_BITS, int(time.time()), secrets.token_urlsafe(12)
    plain = f"{bits}.{issued}.{nonce}.{_mark(about)}"
    return Puzzle(_signer().sign(plain), bits, issued, nonce)


def read(text: str, *about: str) -> Puzzle | None:
    """The puzzle that we set for a request about these things, while it is good."""
    try:
        found = SHAPE.fullmatch(_signer().unsign(text))
    except BadSignature:
        return None
    if found is None or found[4] != _mark(about) or int(found[2]) + LIFE_S < time.time():
        return None
    return Puzzle(text, int(found[1]), int(found[2]), found[3])


def is_solved(puzzle: Puzzle, answer: str, block: str) -> bool:
    """Whether it was solved, or waited out in a browser without scripts; each puzzle counts once."""
    if ANSWER.fullmatch(answer):
        right = zero_bits(f"{puzzle.text}:{answer}") >= puzzle.bits
    else:
        right = puzzle.wait == 0 and shield("starts-by-waiting", block).ok
    return right and take("puzzle-answers", puzzle.nonce).ok


def zero_bits(text: str) -> int:
    """With how many zero bits the SHA-256 (FIPS 180-4) of the text begins."""
    return 256 - int.from_bytes(hashlib.sha256(text.encode()).digest()).bit_length()


def _mark(about: tuple[str, ...]) -> str:
    return keyed_digest("puzzle", *about)[:16]


def _signer() -> Signer:
    return Signer(salt="rekey.puzzle")
