"""Reading a case without signing in: its number and phone, a code to that phone, then the conversation."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone

from portal import challenges, texting
from portal.audit import Tag, record
from portal.celery import nudge
from portal.challenges import Outcome
from portal.models import Channel, phone_digest
from recovery.models import Ticket, TicketEntry, TicketFollower
from recovery.steps import ATTENTION

PURPOSE = "follow"
TASK = "recovery.tasks.look_for_ticket"
# For so long after the code a browser reads and answers without another one.
OPEN_FOR = timedelta(hours=12)


def ask(number: str, phone: str, locale: str, block: str) -> TicketFollower:
    """Store what was typed and leave the rest to a worker; the same rows for everybody (design D8)."""
    row = TicketFollower(number=number, phone=phone, locale=locale, address_block=block)
    with transaction.atomic():
        row.challenge = challenges.open_for(PURPOSE, phone, Channel.SMS, subject=_subject(row))
        row.save(force_insert=True)
        challenges.take_send(row.challenge.id)
        transaction.on_commit(partial(nudge, TASK, row.id))
    return row


def look(follower_id: str) -> bool:
    """Find, in a worker, the ticket that is meant, and send the code if there is one; whether this did."""
    mine = TicketFollower.objects.filter(pk=follower_id, resolved_at__isnull=True)
    row = mine.select_related("challenge").first()
    if row is None:
        return False
    ticket = _meant_by(row)
    with transaction.atomic():
        if mine.update(resolved_at=timezone.now()) != 1:
            return False
        case = ticket.number if ticket is not None else ""
        if not texting.refusal(texting.Ask(row.phone, row.address_block, None, case=case)):
            TicketFollower.objects.filter(pk=follower_id).update(ticket=ticket)
            challenges.queue_code(row.challenge, "code", row.locale)
    return True


def _meant_by(row: TicketFollower) -> Ticket | None:
    """The ticket with this number and phone, once there is something to read.

    Until support has answered, texts go to registered phones only: anybody may open a ticket with any phone
    on it, and a text costs money.
    """
    digest = phone_digest(row.phone)
    ticket = Ticket.objects.filter(number=row.number).select_related("merchant").first()
    if ticket is None or not digest or phone_digest(ticket.phone) != digest:
        return None
    registered = ticket.merchant is not None and ticket.merchant.phone == row.phone
    answered = ticket.entries.filter(author=TicketEntry.Author.STAFF, internal=False)
    return ticket if registered or answered.exists() else None


def waiting_for_worker(now: datetime) -> list[str]:
    """Those whose nudge may have been lost, while somebody still waits for the code."""
    due = TicketFollower.objects.filter(
        resolved_at=None, created_at__range=(now - ATTENTION, now - timedelta(seconds=2))
    )
    return list(due.values_list("pk", flat=True)[:200])


def prove(row: TicketFollower, text: str) -> Outcome:
    """Judge the code; a stranger's is judged like anybody's."""
    known = row.ticket_id is not None
    outcome = challenges.check(row.challenge_id, PURPOSE, _subject(row), text, accept=known)
    if outcome.ok and row.ticket is not None:
        TicketFollower.objects.filter(pk=row.pk).update(proved_at=timezone.now())
        record(Tag.TICKET_FOLLOWED, actor="visitor", merchant=row.ticket.merchant, subject=row.ticket.number)
    return outcome


def ticket_of(row: TicketFollower, now: datetime) -> Ticket | None:
    """The ticket that may be read: for twelve hours after the code was right."""
    fresh = row.proved_at is not None and row.proved_at > now - OPEN_FOR
    return row.ticket if fresh else None


def _subject(row: TicketFollower) -> str:
    return f"follower:{row.pk}"
