"""Keysets (protocol §7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from terminals.claims.reading import Claims, bad, integer, member, text, texts
from terminals.protocol import KINDS


@dataclass(frozen=True, slots=True)
class IssuerKeyEntry:
    """One signing key in a keyset: what it may sign, and when."""

    jwk: dict[str, Any]
    cmds: tuple[str, ...]
    nbf: int
    exp: int


@dataclass(frozen=True, slots=True)
class KeysetClaims:
    """`rekey-keyset+jwt`: the issuer keys a root vouches for."""

    iss: str
    ver: int
    iat: int
    exp: int
    keys: tuple[IssuerKeyEntry, ...]
    roots: tuple[dict[str, Any], ...]
    revoked: tuple[str, ...]


def parse_keyset(claims: Claims) -> KeysetClaims:
    """Read keyset claims; the keys in it still need `jose.validate_public_key`."""
    keys, roots = claims.get("keys"), claims.get("roots")
    if not isinstance(keys, list) or not isinstance(roots, list) or len(keys) > 16 or not 0 < len(roots) <= 4:
        raise bad("keys", "short lists of keys and roots")
    return KeysetClaims(
        iss=text(claims, "iss"),
        ver=integer(claims, "ver", 1, 2**31 - 1),
        iat=integer(claims, "iat"),
        exp=integer(claims, "exp"),
        keys=tuple(_issuer_key({"key": item}) for item in keys),
        roots=tuple(member({"root": item}, "root") for item in roots),
        revoked=texts(claims, "revoked", 64, pattern=r"[A-Za-z0-9_-]{16}"),
    )


def _issuer_key(holder: Claims) -> IssuerKeyEntry:
    entry = member(holder, "key")
    cmds = texts(entry, "cmds", 32)
    if not KINDS.issuperset(cmds):
        cmds = tuple(cmd for cmd in cmds if cmd in KINDS)
    return IssuerKeyEntry(member(entry, "jwk"), cmds, integer(entry, "nbf"), integer(entry, "exp"))
