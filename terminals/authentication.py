"""From a bearer to the terminal that signed it (protocol §2)."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from terminals import jose
from terminals.claims import AuthClaims, parse_auth
from terminals.life import keyroll
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
CURRENT: Final = "current"
PENDING: Final = "pending"
ROLLING: Final = "rolling"
Standing = Literal["current", "pending", "rolling"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose key a `kid` names, and what the key is to that terminal.

    `current` is in force, `pending` waits for the confirmation of an enrollment, `rolling` takes over with
    the first request that it signs. One whose time for that is over is nobody's key.
    """

    terminal_id: str
    kid: str
    key: jose.Jwk
    standing: Standing
    state: str
    power: str
    poll_interval_s: int | None


@dataclass(frozen=True, slots=True)
class Bearer:
    """A verified bearer: whose, in which state that terminal is, and until when it holds (Unix seconds)."""

    terminal_id: str
    state: str
    power: str
    confirmed: bool
    expires: int
    poll_interval_s: int | None = None


def verify(authorization: str, now: float | None = None) -> Bearer:
    """The bearer of an Authorization header.

    Raises ProtocolError `invalid_auth` for everything that is not a bearer of a known terminal, all
    alike, and `clock_skew` with the server's time for one that is genuine but badly timed.
    """
    unread = peek(authorization)
    owner = owners_of([unread.kid]).get(unread.kid)
    bearer = prove(unread, owner, time.time() if now is None else now)
    if owner is not None and owner.standing == ROLLING:
        take_over(owner)
    return bearer


def peek(authorization: str) -> jose.Unverified:
    """A bearer whose form is sound; nothing is looked up, nothing verified. Raises ProtocolError."""
    token = authorization.removeprefix(SCHEME)
    if token == authorization or len(token) > BEARER_MAX:
        raise ProtocolError("invalid_auth")
    try:
        unread = jose.read(token, TYP_AUTH, max_size=BEARER_MAX, algs=jose.TERMINAL_ALGS)
    except jose.JoseError:
        raise ProtocolError("invalid_auth") from None
    # Whatever else somebody calls a key, a database need not hear of it.
    if KID.fullmatch(unread.kid) is None:
        raise ProtocolError("invalid_auth")
    return unread


def owners_of(kids: Collection[str]) -> dict[str, Owner]:
    """The owners of those keys that are known, by `kid`; one query however many are asked for."""
    asked = Q(sign_kid__in=kids) | Q(pending_sign_kid__in=kids)
    facts = ("pk", "state", "power", "poll_interval_s")
    keys = ("sign_kid", "sign_key", "pending_sign_kid", "pending_sign_key", "pending_until")
    owners: dict[str, Owner] = {}
    now = timezone.now()
    for row in Terminal.objects.filter(asked).values_list(*facts, *keys):
        pk, state, power, interval, kid, key, pending_kid, pending_key, pending_until = row
        if pending_kid is not None and (pending_until is None or pending_until > now):
            standing: Standing = PENDING if pending_until is None else ROLLING
            owners[pending_kid] = Owner(pk, pending_kid, pending_key, standing, state, power, interval)
        if kid is not None:
            owners[kid] = Owner(pk, kid, key, CURRENT, state, power, interval)
    return {kid: owners[kid] for kid in kids if kid in owners}


def prove(unread: jose.Unverified, owner: Owner | None, now: float) -> Bearer:
    """The bearer, if this owner's key signed it: one signature check, no query. Raises ProtocolError."""
    if owner is None:
        raise ProtocolError("invalid_auth")
    try:
        claims = parse_auth(unread.claims(owner.key))
    except (jose.JoseError, ProtocolError):
        raise ProtocolError("invalid_auth") from None
    if claims.iss != owner.terminal_id or claims.aud != settings.REKEY_ORIGIN + PATH:
        raise ProtocolError("invalid_auth")
    check_times(claims, now)
    confirmed = owner.standing != PENDING
    return Bearer(owner.terminal_id, owner.state, owner.power, confirmed, claims.exp, owner.poll_interval_s)


def take_over(owner: Owner) -> None:
    """A key of a key roll has signed its first request: from now on it is the terminal's key.

    Raises ProtocolError `invalid_auth` if it was replaced, or its time ran out, a moment ago.
    """
    if not keyroll.take_over(owner.terminal_id, owner.kid):
        raise ProtocolError("invalid_auth")


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
