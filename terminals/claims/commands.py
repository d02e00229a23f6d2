"""A command token and what is sealed in it (protocol §4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from terminals.claims.reading import (
    OPERATOR,
    PASSWORD_MAX,
    Claims,
    flag,
    identity,
    integer,
    member,
    optional,
    text,
    texts,
)
from terminals.protocol import INT_MAX, TOKEN_LIFETIME_MAX


@dataclass(frozen=True, slots=True)
class CommandClaims:
    """`rekey-cmd+jwt`: one command for one terminal."""

    iss: str
    aud: str
    jkt: str
    iat: int
    exp: int
    jti: str
    cid: str
    seq: int
    cmd: str
    by: str
    op: str | None
    nbf: int | None
    rid: str | None
    sealed: str | None
    apr: tuple[str, ...]
    args: dict[str, Any]
    guard: dict[str, Any]


def parse_command(claims: Claims) -> CommandClaims:
    """Read command claims; an unknown `cmd` is read too, the terminal answers `unsupported_cmd`."""
    iat = integer(claims, "iat")
    return CommandClaims(
        iss=text(claims, "iss"),
        aud=identity(claims, "aud", "trm"),
        jkt=text(claims, "jkt", pattern=r"[A-Za-z0-9_-]{16}"),
        iat=iat,
        exp=integer(claims, "exp", iat, min(iat + TOKEN_LIFETIME_MAX, INT_MAX)),
        jti=identity(claims, "jti", "tok"),
        cid=identity(claims, "cid", "cmd"),
        seq=integer(claims, "seq", 1),
        cmd=text(claims, "cmd", limit=32),
        by=text(claims, "by", limit=64),
        op=optional(claims, "op", lambda: text(claims, "op", pattern=OPERATOR)),
        nbf=optional(claims, "nbf", lambda: integer(claims, "nbf")),
        rid=optional(claims, "rid", lambda: text(claims, "rid", limit=64)),
        sealed=optional(claims, "sealed", lambda: text(claims, "sealed", limit=4096)),
        apr=optional(claims, "apr", lambda: texts(claims, "apr", 8)) or (),
        args=optional(claims, "args", lambda: member(claims, "args")) or {},
        guard=optional(claims, "guard", lambda: member(claims, "guard")) or {},
    )


@dataclass(frozen=True, slots=True)
class SealedPlaintext:
    """The opened part of `set_credential`, bound to the command it came in."""

    cid: str
    aud: str
    op: str
    password: str
    change_at_next_login: bool


def parse_sealed(plaintext: Claims) -> SealedPlaintext:
    """Read an opened sealed part."""
    return SealedPlaintext(
        cid=identity(plaintext, "cid", "cmd"),
        aud=identity(plaintext, "aud", "trm"),
        op=text(plaintext, "op", pattern=OPERATOR),
        password=text(plaintext, "password", limit=PASSWORD_MAX),
        change_at_next_login=flag(plaintext, "change_at_next_login"),
    )
