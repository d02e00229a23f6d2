"""A gateway that fails several times in a row rests, and is tried again by one message at a time."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F

from portal.alarms import raise_alarm
from portal.audit import Tag, record
from portal.models import Circuit

FAILURES = 5  # in a row; `trials` counts them
PAUSE = timedelta(seconds=60)


def name_of(channel: str, gateway: str) -> str:
    """The name of a gateway's circuit."""
    return f"{channel}:{gateway}"[:16]


def may_carry(channel: str, gateway: str, now: datetime) -> bool:
    """Whether a gateway may be used: always while it works; while it rests, by one message a minute."""
    resting = Circuit.objects.filter(name=name_of(channel, gateway), stopped_at__isnull=False)
    return not resting.exists() or resting.filter(retry_at__lte=now).update(retry_at=now + PAUSE) == 1


def note(channel: str, gateway: str, now: datetime, *, failed: bool) -> None:
    """What came of one hand-over; a gateway that worked again is on at once."""
    mine = Circuit.objects.filter(name=name_of(channel, gateway))
    if not failed:
        if mine.filter(stopped_at__isnull=False).update(stopped_at=None, retry_at=None, trials=0) == 1:
            record(Tag.GATEWAY_RESUMED, actor="system", gateway=name_of(channel, gateway))
        mine.filter(trials__gt=0).update(trials=0)
        return
    Circuit.objects.bulk_create([Circuit(name=name_of(channel, gateway))], ignore_conflicts=True)
    mine.update(trials=F("trials") + 1)
    tripped = mine.filter(stopped_at__isnull=True, trials__gte=FAILURES)
    if tripped.update(stopped_at=now, retry_at=now + PAUSE) == 1:
        raise_alarm(Tag.GATEWAY_STOPPED, gateway=name_of(channel, gateway))
