"""Tells the ground whether a shop is in the middle of a recovery: then nobody changes how it is reached."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.dispatch import receiver
from django.utils import timezone

from portal.changes import is_recovering
from portal.models import Merchant
from recovery.models import Recovery
from recovery.steps import CHOOSING


@receiver(is_recovering, dispatch_uid="recovery-underway")
def is_underway(sender: Any, merchant: Merchant, **_: Any) -> bool:
    """Whether a recovery of this shop was proved and is not sent off yet, or can still be proved by its code.

    One that anybody can begin keeps nobody from their own pages longer than a code lives.
    """
    now = timezone.now()
    alive = Recovery.objects.filter(merchant=merchant, expires_at__gt=now)
    typing = Q(state=Recovery.State.PROVING, challenge__expires_at__gt=now)
    return alive.filter(Q(state__in=CHOOSING) | typing).exists()
