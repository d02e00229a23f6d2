"""Browsers that once proved themselves for a shop keep a share of the limits that no stranger uses up (T16).

The cookie holds a random token under our signature and opens nothing: a code is still asked for. The database
knows it only together with the shop and the phone that were proved, so that a new phone makes it worthless.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from portal.models import KnownBrowser, Merchant
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


def digest_of(token: str, phone: str) -> str:
    """What a recovery keeps of the token: worthless without the phone it was proved with. Empty for none."""
    return keyed_digest("known-browser", token, phone) if token else ""


def row_of(digest: str, merchant: Merchant) -> KnownBrowser | None:
    """The browser, if it is known for this shop and not too old."""
    if not digest:
        return None
    mine = KnownBrowser.objects.filter(digest=_row_digest(digest, merchant), revoked_at__isnull=True)
    return mine.filter(expires_at__gt=timezone.now()).first()


def remember(request: HttpRequest, response: HttpResponse, merchant: Merchant, phone: str) -> None:
    """Know this browser, which has just proved that it is the shop's, for half a year from now."""
    token, now = token_of(request) or secrets.token_urlsafe(16), timezone.now()
    KnownBrowser.objects.update_or_create(
        digest=_row_digest(digest_of(token, phone), merchant),
        defaults={"last_proved_at": now, "expires_at": now + LIFE},
        create_defaults={
            "merchant": merchant,
            "label": request.headers.get("User-Agent", "")[:80],
            "first_at": now,
            "last_proved_at": now,
            "expires_at": now + LIFE,
        },
    )
    response.set_cookie(
        settings.KNOWN_COOKIE_NAME,
        TimestampSigner(salt=SALT).sign(token),
        max_age=LIFE,
        path="/",
        secure=settings.SECURE,
        httponly=True,
        samesite="Lax",
    )


def sweep(now: datetime) -> int:
    """Forget browsers that have not proved anything for half a year; how many."""
    return KnownBrowser.objects.filter(expires_at__lt=now).delete()[0]


def _row_digest(digest: str, merchant: Merchant) -> str:
    return keyed_digest("known-browser-row", digest, str(merchant.pk))
