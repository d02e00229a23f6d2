"""Links: each event of the audit trail gets one, whose digest covers the event and the link before it."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Min

from portal.models import AuditEvent, AuditLink

FIRST = hashlib.sha256(b"rekey audit chain 1").hexdigest()
BATCH = 500
# Ids are given before rows are committed, so that a lower one may appear after a higher one. The frequent run
# looks so far behind the newest sealed event; the hourly one looks everywhere.
BEHIND = 5000
# A run stops after so many seconds, within its task's time; the next one goes on with a long trail.
LONGEST_S = 8.0
FIELDS = ("pk", "at", "tag", "actor", "merchant_id", "subject", "facts")


class Told(NamedTuple):
    """What of an event is covered: all of it."""

    pk: int
    at: datetime
    tag: str
    actor: str
    merchant_id: int | None
    subject: str
    facts: Any


def digest_of(before: str, seq: int, event: Told) -> str:
    """SHA-256, in hex, over the digest before, a newline, and the event's canonical form.

    The canonical form is JSON in ASCII without spaces, members of objects sorted: a list of the number
    of the link, the event's id, its time in UTC with microseconds, what, who, the id of the merchant or null,
    about, and facts.
    """
    at = event.at.astimezone(UTC).isoformat(timespec="microseconds")
    form = [seq, event.pk, at, *event[2:]]
    text = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{before}\n{text}".encode("ascii")).hexdigest()


def seal(*, everywhere: bool = False) -> int:
    """Give events without a link one each, in batches; returns how many. Safe to run twice and side by side.

    A run that has a long way to go leaves the rest to the next one.

    The link's number is its primary key, so of two runs that go on from the same link one fails and adds
    nothing.
    """
    total, end = 0, time.monotonic() + LONGEST_S
    while True:
        try:
            with transaction.atomic():
                added = _seal_batch(everywhere)
        except IntegrityError:
            return total
        total += added
        if added < BATCH or time.monotonic() > end:
            return total


def _seal_batch(everywhere: bool) -> int:
    last = AuditLink.objects.order_by("-seq").first()
    if last is None or everywhere:
        waiting = AuditEvent.objects.filter(link__isnull=True)
    else:
        floor = last.event_id - BEHIND
        linked = AuditLink.objects.filter(event_id__gt=floor).values("event_id")
        waiting = AuditEvent.objects.filter(pk__gt=floor).exclude(pk__in=linked)
    seq, digest = (last.seq, last.digest) if last else (0, FIRST)
    links = []
    for row in waiting.order_by("pk").values_list(*FIELDS)[:BATCH]:
        event = Told(*row)
        seq += 1
        digest = digest_of(digest, seq, event)
        links.append(AuditLink(seq=seq, event_id=event.pk, digest=digest))
    AuditLink.objects.bulk_create(links)
    return len(links)


def waiting_since() -> datetime | None:
    """The time of the oldest event without a link, or None."""
    found: datetime | None = AuditEvent.objects.filter(link__isnull=True).aggregate(at=Min("at"))["at"]
    return found
