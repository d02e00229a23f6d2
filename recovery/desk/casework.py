"""What agents do with whole cases: open them again, merge those that are one, note calls."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.audit import Tag, record
from portal.models import User, phone_digest
from recovery.desk.clocks import settle
from recovery.desk.tickets import Stale, assign, close, hide_secrets, move
from recovery.models import Ticket, TicketEntry

STEP = "call"
Call = TicketEntry.Call


class NotOne(Exception):
    """Two cases that must not be merged; says why, to be read by the agent."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who called the hotline: whom to call back, and what they say; all of it only told."""

    phone: str
    shop: str
    text: str


def reopen(ticket: Ticket, agent: User, *, version: int) -> None:
    """Open a closed case again; one that was merged stands on its own from now on. Raises Stale."""
    shown = Ticket.objects.filter(pk=ticket.pk, version=version, state=Ticket.State.CLOSED)
    with transaction.atomic():
        again = {"state": Ticket.State.OPEN, "closed_at": None, "merged_into": None}
        if shown.update(**again, version=F("version") + 1) != 1:
            raise Stale
        record(Tag.TICKET_REOPENED, actor=f"user:{agent.pk}", merchant=ticket.merchant, subject=ticket.number)
        settle(ticket)


def merge(ticket: Ticket, agent: User, number: str, *, version: int) -> Ticket:
    """Close a case because another one, which is returned, goes on for it. Raises NotOne, Stale.

    Both must be of one proved shop or have one phone to call back: whoever follows a case reads what is
    answered on it.
    """
    with transaction.atomic():
        # Both at once and in one order: two agents may merge the two into each other.
        both = Q(pk=ticket.pk) | Q(number=number)
        locked = list(Ticket.objects.select_for_update().filter(both).order_by("pk"))
        into = next((each for each in locked if each.number == number), None)
        _insist_on_one(ticket, into)
        assert into is not None
        move(ticket, version, state=Ticket.State.CLOSED, closed_at=timezone.now(), merged_into=into)
        Ticket.objects.filter(merged_into=ticket).update(merged_into=into)
        Ticket.objects.filter(pk=into.pk).update(version=F("version") + 1)
        by = f"user:{agent.pk}"
        record(Tag.TICKET_MERGED, actor=by, merchant=ticket.merchant, subject=ticket.number, into=into.number)
        settle(ticket)
    return into


def _insist_on_one(ticket: Ticket, into: Ticket | None) -> None:
    if into is None or into.pk == ticket.pk:
        raise NotOne(_("There is no other ticket with this number."))
    if into.state == Ticket.State.CLOSED:
        raise NotOne(_("That ticket is closed."))
    same_shop = ticket.merchant_id is not None and ticket.merchant_id == into.merchant_id
    digest = phone_digest(ticket.phone) if ticket.phone else ""
    if not (same_shop or (digest and digest == phone_digest(into.phone))):
        raise NotOne(_("The two are neither of one proved shop nor of one phone."))


def log_call(ticket: Ticket, agent: User, how: str, text: str, *, version: int) -> None:
    """Note a phone call about a case, for colleagues; secrets are covered. Raises Stale."""
    with transaction.atomic():
        move(ticket, version)
        _note_call(ticket, agent, how, text)
        settle(ticket)


def open_for_caller(caller: Caller, agent: User, *, solved: bool) -> Ticket:
    """Open a case, the agent's, for somebody who calls; closed at once where the call was enough."""
    text = hide_secrets(caller.text)
    with transaction.atomic():
        ticket = Ticket.objects.create(
            step=STEP,
            subject=text.splitlines()[0][:60],
            phone=caller.phone,
            phone_digest=phone_digest(caller.phone),
        )
        if caller.shop:
            told = f"{_('merchant')}: {caller.shop}, {_('not proved yet: only typed')}"
            ticket.entries.create(author=TicketEntry.Author.SYSTEM, text=told)
        record(Tag.TICKET_OPENED, actor=f"user:{agent.pk}", subject=ticket.number, step=STEP)
        assign(ticket, agent)
        _note_call(ticket, agent, Call.INCOMING, text)
        settle(ticket)
        if solved:
            close(ticket, agent)
    return ticket


def _note_call(ticket: Ticket, agent: User, how: str, text: str) -> None:
    ticket.entries.create(
        author=TicketEntry.Author.STAFF, user=agent, text=hide_secrets(text), internal=True, call=how
    )
