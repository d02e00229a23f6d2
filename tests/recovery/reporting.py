"""Rows to report about: recoveries, messages and cases as the tables tell of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from portal import challenges
from portal.models import Message
from recovery.desk.reports.shape import Figure, Period, period_of
from recovery.models import Recovery, Ticket
from terminals.models import Command, Terminal

State = Recovery.State


def week() -> Period:
    return period_of(7, timezone.now())


def began(minutes_ago: float = 600, *, attempts: int = 0, **facts: Any) -> Recovery:
    """A recovery as the rows tell of it, whichever way it came about."""
    at = timezone.now() - timedelta(minutes=minutes_ago)
    challenge = challenges.open_for("recovery", "+8613800002046", "sms", subject="recovery:x")
    challenge.attempts = attempts
    challenge.save()
    facts = {"created_at": at, "expires_at": at + timedelta(minutes=30), **facts}
    number = Recovery.objects.count()
    return Recovery.objects.create(
        challenge=challenge, browser_digest=f"b{number}", identifier="x", phone="+8613800002046", **facts
    )


def restored(terminal: Terminal, seconds: int = 60, *, minutes_ago: float = 600, **facts: Any) -> Recovery:
    """A recovery whose password is in force after so many seconds."""
    at = timezone.now() - timedelta(minutes=minutes_ago)
    number = facts.setdefault("operator_number", "03")
    signed_on = facts.pop("signed_on_at", None)
    command = Command.objects.create(
        terminal=terminal, kind="set_credential", operator_number=number, state="applied", requested_by="x",
        expires_at=at, finished_at=at, signed_on_at=signed_on,
    )  # fmt: skip
    moments: dict[str, Any] = dict.fromkeys(("proved_at", "dispatched_at"), at)
    done: dict[str, Any] = {
        "state": State.DONE,
        "finished_at": at + timedelta(seconds=seconds),
        "command": command,
    }
    return began(minutes_ago, merchant=terminal.store.merchant, terminal=terminal, **moments, **done, **facts)


def numbers(figure: Figure, measure: str) -> dict[str, float | None]:
    """One measure of a figure, by line."""
    return {"/".join(line.keys): line.values[measure] for line in figure.lines}


def sent(template: str = "code", **facts: Any) -> Message:
    """A message that was handed over."""
    return Message.objects.create(template=template, tries=1, **facts)


def opened(step: str, answered: float | None = None, closed: float | None = None) -> Ticket:
    """A case of two hours ago, answered and closed after so many minutes."""
    at = timezone.now() - timedelta(hours=2)
    ticket = Ticket.objects.create(subject="x", step=step, created_at=at)
    ticket.entries.create(at=at + timedelta(minutes=1), author="staff", text="a note", internal=True)
    if answered is not None:
        ticket.entries.create(at=at + timedelta(minutes=answered), author="staff", text="hello")
        ticket.entries.create(at=at + timedelta(minutes=answered + 1), author="staff", text="once more")
    if closed is not None:
        closed_at = at + timedelta(minutes=closed)
        Ticket.objects.filter(pk=ticket.pk).update(state=Ticket.State.CLOSED, closed_at=closed_at)
    return ticket
