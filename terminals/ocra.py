"""Offline unlock: answers to the digits on a terminal's screen, by OCRA (RFC 6287). No Django here."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from typing import Final

from terminals.pairing import check_digit

SUITE: Final = "OCRA-1:HOTP-SHA256-8:C-QA10-S064"
QUESTION_DIGITS: Final = 10
# The question carries the counter modulo this; an honest terminal is never further ahead than the window.
COUNTER_MOD: Final = 100
COUNTER_WINDOW: Final = 50

_RANDOM_DIGITS: Final = 7
_QUESTION_BYTES: Final = 128
_TYPED_MAX: Final = 40
_SPACES: Final = re.compile(r"[\s\-]")
_DIGITS: Final = re.compile(rf"[0-9]{{{QUESTION_DIGITS}}}")


def ocra(
    suite: str,
    key: bytes,
    question: str,
    *,
    counter: int = 0,
    pin: str = "",
    session: str = "",
    timestep: int = 0,
) -> str:
    """The one-way response of RFC 6287, section 5; only the inputs that the suite names are used."""
    _, crypto, inputs = suite.split(":")
    _, algorithm, digits = crypto.split("-")
    message = suite.encode() + b"\0"
    for name in inputs.split("-"):
        if name == "C":
            message += counter.to_bytes(8, "big")
        elif name.startswith("Q"):
            message += _question(question, name[1])
        elif name.startswith("P"):
            message += hashlib.new(name[1:], pin.encode()).digest()
        elif name.startswith("S"):
            message += session.encode().rjust(int(name[1:]), b"\0")
        else:
            message += timestep.to_bytes(8, "big")
    mac = hmac.digest(key, message, algorithm)
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10 ** int(digits)).zfill(int(digits))


def _question(question: str, form: str) -> bytes:
    if form == "A":
        return question.encode().ljust(_QUESTION_BYTES, b"\0")
    digits = f"{int(question):x}" if form == "N" else question
    return bytes.fromhex(digits.ljust(2 * _QUESTION_BYTES, "0"))


def session_of(terminal_id: str, operator_number: str) -> str:
    """What an answer is good for: a new password for this operator on this terminal, and nothing else."""
    return hashlib.sha256(f"rekey-ocra/1|{terminal_id}|pwd|{operator_number}".encode()).hexdigest()


def response(key: bytes, counter: int, question: str, session: str) -> str:
    """The eight digits that answer a question in our suite."""
    return ocra(SUITE, key, question, counter=counter, session=session)


def damm(digits: str) -> str:
    """The Damm check digit: it differs after every single wrong digit and every swap of neighbours."""
    return check_digit(digits)


def make_question(counter: int) -> str:
    """Ten digits for the screen: two of the counter, seven random ones, one to catch slips.

    The terminal stores the raised counter before it shows them.
    """
    drawn = secrets.randbelow(10**_RANDOM_DIGITS)
    body = f"{counter % COUNTER_MOD:02}{drawn:0{_RANDOM_DIGITS}}"
    return body + damm(body)


def read_question(typed: str) -> str | None:
    """The ten digits somebody typed, however they were grouped; None if there are not ten.

    Whether the check digit holds is another question: `is_slip`.
    """
    if len(typed) > _TYPED_MAX:
        return None
    plain = _SPACES.sub("", unicodedata.normalize("NFKC", typed))
    return plain if _DIGITS.fullmatch(plain) else None


def is_slip(question: str) -> bool:
    """Whether the check digit says that the ten digits were not copied right."""
    return damm(question) != "0"


def rebuild_counter(question: str, last_seen: int) -> int | None:
    """The terminal's counter: the smallest above the last one seen that ends as the question says.

    None when that is further ahead than an honest terminal gets, or was seen already.
    """
    ahead = (int(question[:2]) - last_seen - 1) % COUNTER_MOD + 1
    return last_seen + ahead if ahead <= COUNTER_WINDOW else None
