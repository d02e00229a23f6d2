"""The clocks in the life of a terminal: every state that waits for somebody ends by itself one day."""

from __future__ import annotations

from django.utils import timezone

from terminals.life import enrollment, keyroll, stopping, swap


def sweep() -> None:
    """End what is due; called every minute, and as often as anybody likes.

    Units that never proved their second key, new keys that were not used in time, quarantine after 30 days
    or a day after a lock; and operators of a replacement who could not be asked at once.
    """
    now = timezone.now()
    enrollment.expire_due(now)
    keyroll.lapse_due(now)
    stopping.revoke_due(now)
    stopping.repeat_evictions(now)
    swap.ask_due(now)
