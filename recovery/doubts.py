"""When the phone proves less: too many wrong codes (T12), unconfirmed for long, or just replaced (T17)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from portal import guessing
from portal.addresses import is_stale
from portal.models import Merchant
from recovery.gates.floors import Doubt
from recovery.models import Recovery
from recovery.sources import known_browser


def of_texts(recovery: Recovery) -> frozenset[Doubt]:
    """What stands against codes by text or call now, for this shop or for everybody.

    A browser that had proved itself before is something else: whoever only guesses has none.
    """
    merchant = recovery.merchant
    if merchant is None or known_browser(recovery, merchant):
        return frozenset()
    found = set()
    if Merchant.objects.filter(pk=merchant.pk, texts_distrusted_at__isnull=False).exists():
        found.add(Doubt.DISTRUSTED)
    if guessing.everybody_waits():
        found.add(Doubt.EVERYBODY)
    return frozenset(found)


def of_mail(recovery: Recovery) -> frozenset[Doubt]:
    """What stands against a code by mail that begins a recovery: codes are being guessed everywhere."""
    merchant = recovery.merchant
    if merchant is None or known_browser(recovery, merchant) or not guessing.everybody_waits():
        return frozenset()
    return frozenset({Doubt.EVERYBODY})


def of_phone(merchant: Merchant, now: datetime) -> frozenset[Doubt]:
    """What stands against the registered phone itself: nobody confirmed it for long, or it is new."""
    found = set()
    if is_stale(merchant, now):
        found.add(Doubt.STALE)
    if merchant.phone_held_until is not None and merchant.phone_held_until > now:
        found.add(Doubt.HELD)
    return frozenset(found)


def until(doubt: Doubt, merchant: Merchant) -> datetime | None:
    """When a doubt ends by itself; None when only another proof, or the owner, ends it."""
    if doubt is Doubt.EVERYBODY:
        return timezone.now() + timedelta(seconds=guessing.everybody_waits())
    return merchant.phone_held_until if doubt is Doubt.HELD else None
