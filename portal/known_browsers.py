"""Browsers that once proved themselves for a shop keep a share of the limits that no stranger uses up (T16).

The cookie holds a random token under our signature and opens nothing: a code is still asked for. The database
knows it only together with the shop and the phone that were proved, so that a new phone makes it worthless.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from portal.audit import Tag, record
from portal.browsers import name_of
from portal.factors import tell
from portal.models import KnownBrowser, Merchant, User
from portal.secrets import keyed_digest

LIFE = timedelta(days=180)
SALT = "rekey.known-browser"


def token_of(request: HttpRequest) -> str:
    """The token of a cookie that we gave to somebody who had proved; empty for anything else."""
    try:
        signed = request.COOKIES.get(settings.KNOWN_COOKIE_NAME, "")
        return TimestampSigner(salt=SALT).unsign(signed, max_age=LIFE)
    except BadSignature:
        return ""


def digest_of(token: str, proved: str) -> str:
    """What may be kept of a token: worthless without what was proved with it, a phone or an account."""
    return keyed_digest("known-browser", token, proved) if token else ""


def row_of(digest: str, merchant: Merchant) -> KnownBrowser | None:
    """The browser, if it is known for this shop and not too old."""
    if not digest:
        return None
    mine = KnownBrowser.objects.filter(digest=_row_digest(digest, merchant))
    return mine.filter(expires_at__gt=timezone.now()).first()


def remember(
    request: HttpRequest, response: HttpResponse, merchant: Merchant, proved: str, user: User | None = None
) -> bool:
    """Know this browser, which has just proved that it is the shop's, for half a year; whether it is new.

    `proved` is what it proved: a phone, or an account when `user` has just signed in.
    """
    token, now = token_of(request) or secrets.token_urlsafe(16), timezone.now()
    created = KnownBrowser.objects.update_or_create(
        digest=_row_digest(digest_of(token, proved), merchant),
        defaults={"last_proved_at": now, "expires_at": now + LIFE},
        create_defaults={
            "merchant": merchant,
            "user": user,
            "label": name_of(request.headers.get("User-Agent", "")),
            "first_at": now,
            "last_proved_at": now,
            "expires_at": now + LIFE,
        },
    )[1]
    response.set_cookie(
        settings.KNOWN_COOKIE_NAME,
        TimestampSigner(salt=SALT).sign(token),
        max_age=LIFE,
        path="/",
        secure=settings.SECURE,
        httponly=True,
        samesite="Lax",
    )
    return created


def note_sign_in(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Somebody of a shop has signed in: tell the account's phone when this browser is a new one."""
    if user.merchant is None:
        return
    if remember(request, response, user.merchant, f"account:{user.pk}", user):
        record(Tag.BROWSER_NEW, actor=f"user:{user.pk}", merchant=user.merchant)
        tell(user, "new-browser")


def of(merchant: Merchant) -> QuerySet[KnownBrowser]:
    """The browsers that are known for this shop, the latest first."""
    return KnownBrowser.objects.filter(merchant=merchant, expires_at__gt=timezone.now()).order_by(
        "-last_proved_at"
    )


def forget(merchant: Merchant, pk: int, by: str) -> bool:
    """Know one browser no more; whether it was known."""
    if KnownBrowser.objects.filter(merchant=merchant, pk=pk).delete()[0] != 1:
        return False
    record(Tag.BROWSER_FORGOTTEN, actor=by, merchant=merchant)
    return True


def sweep(now: datetime) -> int:
    """Forget browsers that have not proved anything for half a year; how many."""
    return KnownBrowser.objects.filter(expires_at__lt=now).delete()[0]


def _row_digest(digest: str, merchant: Merchant) -> str:
    return keyed_digest("known-browser-row", digest, str(merchant.pk))
