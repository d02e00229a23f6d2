"""What passes between a merchant and support on a case, as the merchant may read it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from portal import dialling, spending
from portal.audit import Tag, record
from portal.limits import take
from portal.models import Address, Merchant, User
from portal.notices import tell
from recovery.desk.clocks import settle
from recovery.desk.tickets import hide_secrets, reply
from recovery.models import Photo, Ticket, TicketEntry

# For so long after its end a word of the merchant opens a case again.
REOPENS = timedelta(days=14)
MOST = 200
PER_TICKET = "words-per-ticket"
TEXTS_PER_TICKET = "answers-told-per-ticket"
# What a merchant may read: their own words, and what support answered them.
READABLE = Q(author=TicketEntry.Author.MERCHANT) | Q(author=TicketEntry.Author.STAFF, internal=False)


class TooManyWords(Exception):
    """More was written on one case today than anybody reads."""


class Over(Exception):
    """The case ended too long ago to be opened again."""


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that was said: when, whether by support, and the words."""

    at: datetime
    us: bool
    text: str
    photo: Photo | None


def parts_of(ticket: Ticket) -> QuerySet[Ticket]:
    """The case itself and those merged into it that came from the same phone."""
    return Ticket.objects.filter(Q(pk=ticket.pk) | Q(merged_into=ticket, phone_digest=ticket.phone_digest))


def thread(ticket: Ticket) -> list[Said]:
    """The newest that a merchant may read of a case, oldest first; no notes, nothing of the system."""
    entries = TicketEntry.objects.filter(READABLE, ticket__in=parts_of(ticket))
    newest = entries.select_related("photo").defer("photo__sealed").order_by("-at", "-id")[:MOST]
    return [Said(each.at, each.by_support, each.text, each.picture) for each in reversed(newest)]


def read_instead(ticket: Ticket) -> Ticket:
    """The case that whoever follows this one reads: the one it was merged into, if their phone is on it."""
    into = ticket.merged_into
    return into if into is not None and into.phone_digest == ticket.phone_digest else ticket


def may_be_said(ticket: Ticket, now: datetime) -> bool:
    """Whether a word is still taken: while the case is open, and for a fortnight after."""
    ends = (ticket.merged_into or ticket).closed_at
    return ends is None or ends > now - REOPENS


def said(ticket: Ticket, text: str, by: str) -> TicketEntry:
    """Add what the merchant says, secrets covered; a case that waits or is closed is open again.

    `by` is for the audit trail. Raises Over, TooManyWords.
    """
    goes_on = ticket.merged_into or ticket
    if not may_be_said(ticket, timezone.now()):
        raise Over
    if not take(PER_TICKET, ticket.number).ok:
        raise TooManyWords
    with transaction.atomic():
        mine = Ticket.objects.filter(pk=goes_on.pk)
        again = mine.filter(state=Ticket.State.CLOSED).update(state=Ticket.State.OPEN, closed_at=None) == 1
        mine.filter(state=Ticket.State.WAITING).update(state=Ticket.State.OPEN)
        mine.update(version=F("version") + 1)
        if again:
            record(Tag.TICKET_REOPENED, actor=by, merchant=goes_on.merchant, subject=goes_on.number)
        settle(goes_on)
        return ticket.entries.create(author=TicketEntry.Author.MERCHANT, text=hide_secrets(text))


def answer(ticket: Ticket, agent: User, text: str, *, version: int) -> bool:
    """Answer the merchant and tell the phone on the case that there is something to read.

    Whether a text goes out. Raises Stale.
    """
    with transaction.atomic():
        reply(ticket, agent, text, version=version)
        told = _may_tell(ticket)
        if told:
            tell(Address.Kind.PHONE, ticket.phone, "answered", ticket.locale, number=ticket.number)
    return told


def _may_tell(ticket: Ticket) -> bool:
    reached = ticket.phone != "" and dialling.is_open(ticket.phone) and spending.lasts()
    return reached and take(TEXTS_PER_TICKET, ticket.number).ok


def cases_of(merchant: Merchant) -> QuerySet[Ticket]:
    """The cases of a shop in which something was said to or by its people, newest first."""
    spoken = TicketEntry.objects.filter(READABLE).values("ticket")
    return Ticket.objects.filter(merchant=merchant, pk__in=spoken).select_related("merged_into")
