"""From a bearer to the terminal that signed it (protocol §2)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from django.conf import settings

from terminals import jose
from terminals.claims import AuthClaims, parse_auth
from terminals.models import Terminal
from terminals.protocol import (
    BEARER_GRACE,
    BEARER_LIFETIME_MAX,
    BEARER_MAX,
    PATH,
    SKEW,
    TYP_AUTH,
    ProtocolError,
)

SCHEME = "Bearer "
KID = re.compile(r"[A-Za-z0-9_-]{16}")


@dataclass(frozen=True, slots=True)
class Bearer:
    """A verified bearer: which terminal, in which state, how it is powered, and until when (Unix seconds)."""

    terminal_id: str
    state: str
    power: str
    confirmed: bool
    expires: int


def verify(authorization: str, now: float | None = None) -> Bearer:
    """The bearer of an Authorization header.

    Raises ProtocolError `invalid_auth` for everything that is not a bearer of a known terminal, all
    alike, and `clock_skew` with the server's time for one that is genuine but badly timed.
    """
    token = authorization.removeprefix(SCHEME)
    if token == authorization or len(token) > BEARER_MAX:
        raise ProtocolError("invalid_auth")
    try:
        unverified = jose.read(token, TYP_AUTH, max_size=BEARER_MAX, algs=jose.TERMINAL_ALGS)
        terminal, key, confirmed = _owner(unverified.kid)
        claims = parse_auth(unverified.claims(key))
    except (jose.JoseError, ProtocolError):
        raise ProtocolError("invalid_auth") from None
    if claims.iss != terminal.id or claims.aud != settings.REKEY_ORIGIN + PATH:
        raise ProtocolError("invalid_auth")
    check_times(claims, time.time() if now is None else now)
    return Bearer(terminal.id, terminal.state, terminal.power, confirmed, claims.exp)


def _owner(kid: str) -> tuple[Terminal, jose.Jwk, bool]:
    # Whatever else somebody calls a key, a database need not hear of it.
    if KID.fullmatch(kid) is None:
        raise jose.JoseError(jose.UNKNOWN_KEY)
    terminal = Terminal.objects.filter(sign_kid=kid).first()
    if terminal is not None:
        return terminal, terminal.sign_key or {}, True
    terminal = Terminal.objects.filter(pending_sign_kid=kid).first()
    if terminal is not None:
        return terminal, terminal.pending_sign_key or {}, False
    raise jose.JoseError(jose.UNKNOWN_KEY)


def check_times(claims: AuthClaims, now: float) -> None:
    """Raises ProtocolError `clock_skew` unless the bearer is in force now."""
    timely = claims.iat <= now + SKEW and claims.exp > now - BEARER_GRACE
    if not timely or not 0 < claims.exp - claims.iat <= BEARER_LIFETIME_MAX:
        raise ProtocolError("clock_skew", server_time=int(now))


def admit(bearer: Bearer) -> None:
    """Raises ProtocolError `revoked` or `unconfirmed` for terminals that may not ask or report."""
    if bearer.state == Terminal.State.REVOKED:
        raise ProtocolError("revoked")
    if not bearer.confirmed:
        raise ProtocolError("unconfirmed", retry_after=5)
