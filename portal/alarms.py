"""What concerns everybody and wants a person: on record each time, told to whoever listens once a day."""

from __future__ import annotations

from typing import Any

from django.dispatch import Signal

from portal.audit import Tag, record
from portal.limits import take

# Sent with `tag` and `facts` when something trips for the first time in a day.
alarm_raised = Signal()


def raise_alarm(tag: Tag, **facts: Any) -> None:
    """Put it on record, and open a case unless today's is open; facts hold no secrets."""
    record(tag, actor="system", **facts)
    if take("alarms-per-kind", tag.value).ok:
        alarm_raised.send(sender=Tag, tag=tag, facts=facts)
