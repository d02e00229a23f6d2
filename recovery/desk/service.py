"""What an agent says about the service of a case: how urgent it is, and whom it waits for."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.audit import Tag, record
from portal.models import User
from recovery.desk.clocks import WAITING, in_force, settle
from recovery.desk.tickets import move
from recovery.models import Ticket


def wait_for(ticket: Ticket, agent: User, state: str, *, version: int) -> None:
    """Let a case wait for somebody else, or take it up again: its clock stands still as long as it waits.

    Raises Stale; ValidationError while the merchant has heard nothing yet, since their wait would be hidden.
    """
    if state not in (Ticket.State.OPEN, *WAITING):
        raise ValidationError(_("A case is open, or waits for somebody."))
    now = Ticket.objects.get(pk=ticket.pk)
    if state in WAITING and now.answered_at is None and (now.merchant_id is not None or now.phone):
        raise ValidationError(_("Answer the merchant first: until then they wait for you."))
    with transaction.atomic():
        move(ticket, version, state=state)
        _record(Tag.TICKET_WAITS, ticket, agent, state=state)
        settle(ticket)


def set_priority(ticket: Ticket, agent: User, priority: int, *, version: int) -> None:
    """Give a case another priority; what was spent of its time counts on. Raises Stale."""
    seen = Ticket.objects.get(pk=ticket.pk)
    facts: dict[str, Any] = {"priority": priority}
    if seen.clock_from is not None:
        now, level = timezone.now(), in_force().of(seen)
        spent = seen.spent_s + level.time.between(seen.clock_from, now)
        facts |= {"clock_from": now, "spent_s": spent}
    with transaction.atomic():
        move(ticket, version, **facts)
        by = f"user:{agent.pk}"
        record(Tag.TICKET_PRIORITY, actor=by, subject=ticket.number, priority=priority)
        settle(ticket)


def assign_all(tickets: list[Ticket], agent: User, to: User) -> int:
    """Give several cases to one person, whoever has them now; how many changed hands."""
    with transaction.atomic():
        return sum(_give(ticket, agent, to) for ticket in tickets)


def _give(ticket: Ticket, agent: User, to: User) -> bool:
    others = Ticket.objects.filter(pk=ticket.pk, assignee=ticket.assignee_id)
    free = others.exclude(state=Ticket.State.CLOSED).exclude(assignee=to)
    if free.update(assignee=to, version=F("version") + 1) != 1:
        return False
    _record(Tag.TICKET_ASSIGNED, ticket, agent, to=f"user:{to.pk}")
    return True


def _record(tag: Tag, ticket: Ticket, agent: User, **facts: Any) -> None:
    record(tag, actor=f"user:{agent.pk}", merchant=ticket.merchant, subject=ticket.number, **facts)
