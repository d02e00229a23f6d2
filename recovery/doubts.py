"""When a text alone is not enough: after too many wrong codes, for one shop or for everybody (T12)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from portal import guessing
from portal.models import Merchant
from recovery.models import Recovery
from recovery.sources import known_browser


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a text alone does not count, and when it will again by itself; None: only another proof helps."""

    everybody: bool
    until: datetime | None = None


def doubt(recovery: Recovery) -> Doubt | None:
    """What stands against a recovery that was proved by a text and nothing else; None for nothing.

    A browser that had proved itself before is something else: whoever only guesses has none.
    """
    merchant = recovery.merchant
    if merchant is None or recovery.possession_at is not None or known_browser(recovery, merchant):
        return None
    distrusted = Merchant.objects.filter(texts_distrusted_at__isnull=False)
    if distrusted.filter(pk=merchant.pk).exists():
        return Doubt(everybody=False)
    seconds = guessing.everybody_waits()
    if seconds:
        return Doubt(everybody=True, until=timezone.now() + timedelta(seconds=seconds))
    return None
