"""When a text alone is not enough: after too many wrong codes, for one shop or for everybody (T12)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from portal import guessing
from portal.models import Merchant
from recovery.models import Recovery


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a text alone does not count, and when it will again by itself; None: only another proof helps."""

    everybody: bool
    until: datetime | None = None


def doubt(recovery: Recovery) -> Doubt | None:
    """What stands against a recovery that was proved by a text and nothing else; None for nothing."""
    if recovery.possession_at is not None:
        return None
    distrusted = Merchant.objects.filter(texts_distrusted_at__isnull=False)
    if recovery.merchant is not None and distrusted.filter(pk=recovery.merchant.pk).exists():
        return Doubt(everybody=False)
    seconds = guessing.everybody_waits()
    if seconds:
        return Doubt(everybody=True, until=timezone.now() + timedelta(seconds=seconds))
    return None
