"""Photos on a case: taken in, handed out to those who may read the entry, forgotten after thirty days."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from portal.limits import take
from recovery.desk.conversation import READABLE, parts_of, said
from recovery.desk.pictures import Picture
from recovery.models import Photo, Ticket, TicketEntry

KEPT = timedelta(days=30)
PER_TICKET = "photos-per-ticket"
BATCH = 200


class TooManyPhotos(Exception):
    """The ticket got as many photos today as it may."""


def said_with(ticket: Ticket, text: str, by: str, picture: Picture | None) -> TicketEntry:
    """Add what the merchant says, with a photo or without. Raises Over, TooManyWords, TooManyPhotos."""
    if picture is None:
        return said(ticket, text, by)
    if not take(PER_TICKET, ticket.number).ok:
        raise TooManyPhotos
    with transaction.atomic():
        entry = said(ticket, text, by)
        attach(entry, picture)
    return entry


def attach(entry: TicketEntry, picture: Picture) -> Photo:
    """Keep a picture with an entry, sealed."""
    return Photo.objects.create(
        entry=entry,
        width=picture.width,
        height=picture.height,
        sealed=base64.b64encode(picture.jpeg).decode(),
        expires_at=timezone.now() + KEPT,
    )


def readable(ticket: Ticket) -> QuerySet[Photo]:
    """The photos that whoever reads this case as a merchant may see."""
    entries = TicketEntry.objects.filter(READABLE, ticket__in=parts_of(ticket))
    return Photo.objects.filter(entry__in=entries)


def bytes_of(photo: Photo) -> bytes:
    """The JPEG; empty once it is forgotten."""
    return base64.b64decode(photo.sealed)


def forget_old(now: datetime) -> int:
    """Forget the pictures whose time is over, their rows stay; how many there were."""
    due = Photo.objects.filter(expires_at__lte=now).values_list("pk", flat=True)[:BATCH]
    return Photo.objects.filter(pk__in=list(due)).update(sealed="", expires_at=None)
