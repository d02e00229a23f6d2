"""What travels while a unit is paired: its request, the nonce, and the challenge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from terminals.claims.reading import CODE_MAX, JTI, Claims, identity, integer, member, raw_bytes, text, texts
from terminals.protocol import ENROLL_LIFETIME_MAX, KEYROLL_MAX


@dataclass(frozen=True, slots=True)
class EnrollClaims:
    """`rekey-enroll+jwt`: a new terminal presents its keys and its pairing code."""

    aud: str
    iat: int
    exp: int
    jti: str
    code: str
    enc: dict[str, Any]
    keypad: str
    cmds: tuple[str, ...]
    vendor: str
    model: str
    serial: str
    fw: str


def parse_enroll(claims: Claims) -> EnrollClaims:
    """Read enrollment claims; the key in `enc` still needs `jose.validate_public_key`."""
    iat = integer(claims, "iat")
    capabilities, hardware = member(claims, "cap"), member(claims, "hw")
    return EnrollClaims(
        aud=text(claims, "aud"),
        iat=iat,
        exp=integer(claims, "exp", iat, iat + ENROLL_LIFETIME_MAX),
        jti=text(claims, "jti", pattern=JTI),
        code=text(claims, "code", limit=CODE_MAX),
        enc=member(claims, "enc"),
        keypad=text(capabilities, "keypad", pattern="digits|full"),
        cmds=texts(capabilities, "cmds", 32),
        vendor=text(hardware, "vendor", limit=60),
        model=text(hardware, "model", limit=60),
        serial=text(hardware, "serial", limit=32),
        fw=text(claims, "fw", limit=40),
    )


def parse_confirm(body: Claims) -> str:
    """The base64url nonce (16 bytes) of `POST enroll/confirm`."""
    raw_bytes(body, "nonce", 16)
    return str(body["nonce"])


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server seals to a new X25519 key: the nonce to return and the offline-unlock key."""

    nonce: str
    offline_key: str


def parse_challenge(plaintext: Claims) -> Challenge:
    """Read an opened enrollment challenge."""
    raw_bytes(plaintext, "nonce", 16)
    raw_bytes(plaintext, "offline_key", 32)
    return Challenge(plaintext["nonce"], plaintext["offline_key"])


@dataclass(frozen=True, slots=True)
class KeyrollClaims:
    """`rekey-keyroll+jwt`: the old key vouches for a new one, whose own proof is inside."""

    iss: str
    aud: str
    iat: int
    exp: int
    jti: str
    proof: str


def parse_keyroll(claims: Claims) -> KeyrollClaims:
    """Read key-roll claims; `proof` still has to be verified under the key in its own header."""
    iat = integer(claims, "iat")
    return KeyrollClaims(
        iss=identity(claims, "iss", "trm"),
        aud=text(claims, "aud"),
        iat=iat,
        exp=integer(claims, "exp", iat, iat + ENROLL_LIFETIME_MAX),
        jti=text(claims, "jti", pattern=JTI),
        proof=text(claims, "proof", limit=KEYROLL_MAX),
    )


@dataclass(frozen=True, slots=True)
class PossessionClaims:
    """`rekey-pop+jwt`: the new key of a key roll proves itself and names the key it follows."""

    old: str
    aud: str
    iat: int
    jti: str
    enc: dict[str, Any]


def parse_possession(claims: Claims) -> PossessionClaims:
    """Read the proof; the key in `enc` still needs `jose.validate_public_key`."""
    return PossessionClaims(
        old=text(claims, "old", pattern=r"[A-Za-z0-9_-]{16}"),
        aud=text(claims, "aud"),
        iat=integer(claims, "iat"),
        jti=text(claims, "jti", pattern=JTI),
        enc=member(claims, "enc"),
    )
