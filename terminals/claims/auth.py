"""The bearer of a terminal (protocol §2)."""

from __future__ import annotations

from dataclasses import dataclass

from terminals.claims.reading import JTI, Claims, identity, integer, text


@dataclass(frozen=True, slots=True)
class AuthClaims:
    """`rekey-auth+jwt`: the self-signed bearer of a terminal."""

    iss: str
    aud: str
    iat: int
    exp: int
    jti: str


def parse_auth(claims: Claims) -> AuthClaims:
    """Read bearer claims; whether the times are acceptable is for the caller, who knows the time."""
    return AuthClaims(
        iss=identity(claims, "iss", "trm"),
        aud=text(claims, "aud"),
        iat=integer(claims, "iat"),
        exp=integer(claims, "exp"),
        jti=text(claims, "jti", pattern=JTI),
    )
