"""Receipts, one and in a batch (protocol §5)."""

from __future__ import annotations

from dataclasses import dataclass

from terminals.claims.reading import Claims, bad, identity, integer, optional, raw_bytes, text
from terminals.protocol import (
    APPLIED,
    DEFERRED,
    OFFLINE,
    RC,
    RC_UNREAD,
    RECEIPT_STATUSES,
    RECEIPTS_PER_POST,
    REJECTED,
)


@dataclass(frozen=True, slots=True)
class ReceiptClaims:
    """`rekey-receipt+jwt`: what a terminal did with a token.

    `sub`, `cid` and `seq` are None only when `rc` is in RC_UNREAD: the terminal could not authenticate the
    token, so the server must find it by `tok`. A receipt of an offline unlock has the word `offline` in
    `sub`, the challenge counter in `oc`, and neither `cid` nor `seq`.
    """

    iss: str
    aud: str
    iat: int
    jti: str
    sub: str | None
    cid: str | None
    seq: int | None
    tok: str
    st: str
    rc: str | None
    retry: int | None
    at: int
    hwm: int
    oc: int | None = None


def parse_receipt(claims: Claims) -> ReceiptClaims:
    """Read receipt claims: `rejected` and `deferred` have an `rc`, `deferred` a `retry` in seconds."""
    raw_bytes(claims, "tok", 32)
    st = text(claims, "st")
    rc = optional(claims, "rc", lambda: text(claims, "rc"))
    if st not in RECEIPT_STATUSES or (rc is not None) != (st in {REJECTED, DEFERRED}):
        raise bad("st", "a status with the reason it needs")
    if rc is not None and (rc not in RC or (rc == "busy") != (st == DEFERRED)):
        raise bad("rc", "a reason code of this status")
    offline = claims.get("sub") == OFFLINE and st == APPLIED
    nameless = offline or (rc in RC_UNREAD and "sub" not in claims)
    return ReceiptClaims(
        iss=identity(claims, "iss", "trm"),
        aud=text(claims, "aud"),
        iat=integer(claims, "iat"),
        jti=identity(claims, "jti", "rcp"),
        sub=(OFFLINE if offline else None) if nameless else identity(claims, "sub", "tok"),
        cid=None if nameless else identity(claims, "cid", "cmd"),
        seq=None if nameless else integer(claims, "seq", 1),
        tok=claims["tok"],
        st=st,
        rc=rc,
        retry=integer(claims, "retry", 1, 86_400) if st == DEFERRED else None,
        at=integer(claims, "at"),
        hwm=integer(claims, "hwm"),
        oc=integer(claims, "oc", 1) if offline else None,
    )


def parse_receipt_batch(body: Claims) -> tuple[str, ...]:
    """The 1 to 8 compact tokens of `POST receipts`; each is judged on its own later."""
    receipts = body.get("receipts")
    if not isinstance(receipts, list) or not 1 <= len(receipts) <= RECEIPTS_PER_POST:
        raise bad("receipts", f"a list of 1 to {RECEIPTS_PER_POST}")
    return tuple(item if isinstance(item, str) else "" for item in receipts)
