"""Strict readers for single members of a message; each raises ProtocolError `malformed`."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from terminals.protocol import INT_MAX, ProtocolError

Claims = Mapping[str, Any]
T = TypeVar("T")

OPERATOR: Final = r"[0-9]{2}"
JTI: Final = r"[A-Za-z0-9_-]{8,64}"
PASSWORD_MAX: Final = 64
CODE_MAX: Final = 64


def bad(name: str, wanted: str) -> ProtocolError:
    """The refusal of one member, saying what was wanted."""
    return ProtocolError("malformed", f"{name}: {wanted} wanted")


def text(claims: Claims, name: str, *, pattern: str = "", limit: int = 256) -> str:
    """Printable text of 1 to `limit` characters, of the form `pattern` if one is given."""
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise bad(name, "text")
    if not value.isprintable():
        raise bad(name, "text without control characters")
    if pattern and re.fullmatch(pattern, value) is None:
        raise bad(name, "another form")
    return value


def integer(claims: Claims, name: str, low: int = 0, high: int = INT_MAX) -> int:
    """A whole number from `low` to `high`."""
    value = claims.get(name)
    if type(value) is not int or not low <= value <= high:
        raise bad(name, "an integer in range")
    return value


def flag(claims: Claims, name: str) -> bool:
    """A boolean."""
    value = claims.get(name)
    if type(value) is not bool:
        raise bad(name, "true or false")
    return value


def member(claims: Claims, name: str) -> dict[str, Any]:
    """An object."""
    value = claims.get(name)
    if not isinstance(value, dict):
        raise bad(name, "an object")
    return value


def texts(claims: Claims, name: str, most: int, *, pattern: str = "", limit: int = 64) -> tuple[str, ...]:
    """A list of at most `most` texts."""
    value = claims.get(name)
    if not isinstance(value, list) or len(value) > most:
        raise bad(name, "a short list")
    return tuple(text({name: item}, name, pattern=pattern, limit=limit) for item in value)


def optional(claims: Claims, name: str, read: Callable[[], T]) -> T | None:
    """What `read` gives, or None when the member is absent."""
    return read() if name in claims else None


def identity(claims: Claims, name: str, prefix: str) -> str:
    """An id of this prefix."""
    return text(claims, name, pattern=prefix + r"_[A-Za-z0-9_-]{16}", limit=20)


def raw_bytes(claims: Claims, name: str, length: int) -> bytes:
    """Exactly `length` bytes in canonical base64url."""
    typed = text(claims, name, pattern=r"[A-Za-z0-9_-]+", limit=64)
    raw = base64.urlsafe_b64decode(typed + "=" * (-len(typed) % 4)) if len(typed) % 4 != 1 else b""
    if len(raw) != length or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != typed:
        raise bad(name, f"{length} bytes")
    return raw
