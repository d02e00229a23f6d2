"""Cases for people: opened where somebody got stuck, worked on by support."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from portal.audit import Tag, record
from portal.limits import take
from portal.models import AuditEvent, Merchant, User, phone_digest
from recovery.desk.clocks import priority_of, settle
from recovery.models import Recovery, Ticket, TicketEntry, TicketViewer
from terminals.models import Terminal

OPEN_AT_ONCE = 3
LOOKING = timedelta(minutes=1)
HIDDEN = "••••"
# Four digits or more in a row, single spaces and hyphens between them forgiven, may be a password, a code, an
# identity card or a phone; whatever they were, a case does not need them.
SECRET_LIKE = re.compile(r"\d(?:[ \u00a0\u3000./_–—-]?\d){3,}[Xx]?")


class Stale(Exception):
    """Somebody did something about the case after the page was shown."""


class TooManyTickets(Exception):
    """The phone has as many open cases as it may have."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What somebody says is wrong: where they stood, whom to call, and what happened."""

    step: str
    subject: str
    phone: str
    text: str
    # Whose people say it, where a signed-in owner does; a recovery tells by itself.
    merchant: Merchant | None = None


def hide_secrets(text: str, spared: tuple[str, ...] = ()) -> str:
    """The text without anything that could be a password, a code, an identity number or a phone.

    `spared` are public numbers that may stand in it as they are.

    >>> hide_secrets("密码 12 34-56，单号 R7F3")
    '密码 ••••，单号 R7F3'
    """
    public = "|".join(re.escape(number) for number in spared if number)
    parts = re.split(rf"(?<!\d)({public})(?!\d)", text) if public else [text]
    return "".join(part if place % 2 else SECRET_LIKE.sub(HIDDEN, part) for place, part in enumerate(parts))


def open_ticket(trouble: Trouble, recovery: Recovery | None) -> Ticket:
    """Open a case. Raises TooManyTickets.

    A recovery that goes on stays open beside it: the code may still arrive. The merchant is noted only when
    the recovery has proved it.
    """
    digest = phone_digest(trouble.phone)
    still_open = Ticket.objects.filter(phone_digest=digest).exclude(state=Ticket.State.CLOSED)
    if still_open.count() >= OPEN_AT_ONCE or not take("tickets-per-phone", digest).ok:
        raise TooManyTickets
    proved = recovery is not None and recovery.proved_at is not None
    with transaction.atomic():
        ticket = Ticket.objects.create(
            step=trouble.step,
            subject=trouble.subject,
            recovery=recovery,
            merchant=recovery.merchant if recovery and proved else trouble.merchant,
            phone=trouble.phone,
            phone_digest=digest,
            locale=get_language() or settings.LANGUAGE_CODE,
            priority=priority_of(trouble.step),
        )
        if recovery is not None:
            ticket.entries.create(author=TicketEntry.Author.SYSTEM, text=brought_along(recovery))
        ticket.entries.create(author=TicketEntry.Author.MERCHANT, text=hide_secrets(trouble.text))
        record(
            Tag.TICKET_OPENED,
            actor="visitor",
            merchant=ticket.merchant,
            subject=ticket.number,
            step=trouble.step,
        )
        settle(ticket)
    return ticket


def open_about_terminal(terminal: Terminal, step: str, subject: str, text: str) -> Ticket:
    """Open a case because a terminal reported something; whom to call is the merchant's registered phone.

    It does not count among the cases that this phone may open.
    """
    return open_about_shop(terminal.store.merchant, step, subject, text, actor=terminal.pk)


def open_about_shop(
    merchant: Merchant, step: str, subject: str, text: str, *, actor: str = "system"
) -> Ticket:
    """The same for what concerns a shop and none of its terminals."""
    with transaction.atomic():
        ticket = Ticket.objects.create(
            step=step,
            subject=subject[:120],
            merchant=merchant,
            phone=merchant.phone,
            priority=priority_of(step),
        )
        ticket.entries.create(author=TicketEntry.Author.SYSTEM, text=text)
        record(Tag.TICKET_OPENED, actor=actor, merchant=merchant, subject=ticket.number, step=step)
        settle(ticket)
    return ticket


def open_for_staff(step: str, subject: str, text: str) -> Ticket:
    """Open a case about no shop: something that concerns everybody wants a person."""
    with transaction.atomic():
        ticket = Ticket.objects.create(step=step, subject=subject[:120], priority=priority_of(step))
        ticket.entries.create(author=TicketEntry.Author.SYSTEM, text=text)
        record(Tag.TICKET_OPENED, actor="system", subject=ticket.number, step=step)
        settle(ticket)
    return ticket


def brought_along(recovery: Recovery) -> str:
    """What support should not have to ask: shop, terminal and operator, and whether they were proved."""
    with override(settings.LANGUAGE_CODE):
        facts = [f"{_('merchant')}: {recovery.identifier}"]
        if recovery.proved_at is None:
            facts.append(_("not proved yet: only typed"))
        if recovery.terminal is not None:
            facts.append(f"{_('terminal')}: {recovery.terminal}")
        number = recovery.operator_number or last_refused(recovery)
        if number:
            facts.append(f"{_('operator')}: {number}")
        return ", ".join(facts)


def last_refused(recovery: Recovery) -> str:
    """The operator whose reset was refused last, for want of a second proof."""
    refusals = AuditEvent.objects.filter(tag=Tag.RECOVERY_REFUSED, subject=recovery.id)
    newest = refusals.order_by("-at", "-id").first()
    return str(newest.facts.get("operator", "")) if newest else ""


def call_back_number(ticket: Ticket, agent: User) -> str:
    """The whole phone, for the agent who has taken the case, on record; empty for everybody else."""
    ticket.refresh_from_db()
    if ticket.assignee_id != agent.pk or ticket.state == Ticket.State.CLOSED:
        return ""
    record(Tag.PHONE_SHOWN, actor=f"user:{agent.pk}", merchant=ticket.merchant, subject=ticket.number)
    return ticket.phone


def assign(ticket: Ticket, agent: User) -> bool:
    """Take a case that nobody has yet; whether this agent got it."""
    free = Ticket.objects.filter(pk=ticket.pk, assignee__isnull=True).exclude(state=Ticket.State.CLOSED)
    with transaction.atomic():
        if free.update(assignee=agent, version=F("version") + 1) != 1:
            return False
        _assigned(ticket, agent, agent)
    return True


def hand_over(ticket: Ticket, agent: User, to: User, *, version: int, note: str = "") -> None:
    """Give a case to a colleague, with a note among colleagues if there is one. Raises Stale."""
    with transaction.atomic():
        move(ticket, version, assignee=to)
        if note:
            _write(ticket, agent, note, internal=True)
        _assigned(ticket, agent, to)


def _assigned(ticket: Ticket, agent: User, to: User) -> None:
    by, has = f"user:{agent.pk}", f"user:{to.pk}"
    record(Tag.TICKET_ASSIGNED, actor=by, merchant=ticket.merchant, subject=ticket.number, to=has)


def reply(ticket: Ticket, agent: User, text: str, *, version: int, internal: bool = False) -> TicketEntry:
    """Add what support answers, or a note among colleagues; secrets are hidden here as well. Raises Stale."""
    with transaction.atomic():
        move(ticket, version)
        entry = _write(ticket, agent, text, internal=internal)
        settle(ticket)
    return entry


def _write(ticket: Ticket, agent: User, text: str, *, internal: bool) -> TicketEntry:
    return ticket.entries.create(
        author=TicketEntry.Author.STAFF,
        user=agent,
        text=hide_secrets(text, public_numbers(ticket)),
        internal=internal,
    )


def public_numbers(ticket: Ticket) -> tuple[str, ...]:
    """What support may write although it looks like a secret: no secret is in it."""
    till = ticket.stuck_terminal.number if ticket.stuck_terminal is not None else ""
    return (ticket.number, ticket.masked_phone, till, settings.REKEY_HOTLINE)


def close(ticket: Ticket, agent: User, *, version: int | None = None) -> bool:
    """Close a case; whether it was open, and still as it was shown where a version says so."""
    return end(ticket, f"user:{agent.pk}", version=version)


def end(ticket: Ticket, by: str, *, version: int | None = None) -> bool:
    """The same for whoever `by` names: an agent, or the system."""
    opened = Ticket.objects.filter(pk=ticket.pk).exclude(state=Ticket.State.CLOSED)
    if version is not None:
        opened = opened.filter(version=version)
    ended = {"state": Ticket.State.CLOSED, "closed_at": timezone.now(), "version": F("version") + 1}
    with transaction.atomic():
        if opened.update(**ended) != 1:
            return False
        record(Tag.TICKET_CLOSED, actor=by, merchant=ticket.merchant, subject=ticket.number)
        settle(ticket)
    return True


def move(ticket: Ticket, version: int, **to: Any) -> None:
    """Go on with a case from what the page showed. Raises Stale when somebody was faster, or it is closed."""
    shown = Ticket.objects.filter(pk=ticket.pk, version=version).exclude(state=Ticket.State.CLOSED)
    if shown.update(version=F("version") + 1, **to) != 1:
        raise Stale


def others_at(ticket: Ticket, agent: User) -> list[User]:
    """Note that the agent looks at the case now; who else did within a minute."""
    now = timezone.now()
    TicketViewer.objects.update_or_create(ticket=ticket, user=agent, defaults={"seen_at": now})
    lately = ticket.viewers.filter(seen_at__gt=now - LOOKING).exclude(user=agent)
    return [viewer.user for viewer in lately.select_related("user").order_by("user__username")]
