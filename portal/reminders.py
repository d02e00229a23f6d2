"""Owners are reminded to confirm how their shop is reached: by day, and once in REKEY_RECONFIRM_DAYS."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from portal.models import Address, Merchant, User
from portal.notices import tell_shop

# Nobody is woken by it.
FROM, TO = 9, 20
BATCH = 200


def remind(now: datetime) -> int:
    """Text and mail the owners of shops where a phone, an address or a contact was not confirmed for long.

    Returns how many shops. Run as often as one likes: the row says when it was done last.
    """
    if not settings.REKEY_RECONFIRM_DAYS or not FROM <= timezone.localtime(now).hour < TO:
        return 0
    since = now - timedelta(days=settings.REKEY_RECONFIRM_DAYS)
    rested = Q(reminded_at__isnull=True) | Q(reminded_at__lt=since)
    return sum(_tell(merchant, rested, now) for merchant in _due(since).filter(rested)[:BATCH])


def _due(since: datetime) -> QuerySet[Merchant]:
    """Active shops of somebody who can sign in and confirm, where something is due."""
    mine = {"merchant": OuterRef("pk")}
    old = Address.objects.filter(confirmed_at__lt=since, retired_at__isnull=True, **mine)
    never = Q(phone_confirmed_at__isnull=True, created_at__lt=since)
    phone = (Q(phone_confirmed_at__lt=since) | never) & ~Q(phone_digest="")
    owned = Merchant.objects.filter(Exists(User.objects.filter(is_active=True, **mine)))
    return owned.filter(phone | Exists(old), status=Merchant.Status.ACTIVE).order_by("pk")


def _tell(merchant: Merchant, rested: Q, now: datetime) -> bool:
    with transaction.atomic():
        if Merchant.objects.filter(rested, pk=merchant.pk).update(reminded_at=now) != 1:
            return False
        tell_shop(merchant, "confirm-due")
    return True
