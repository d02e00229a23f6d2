"""The clock of a case: it runs while support is to act, and stands still while somebody else is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from recovery.desk.hours import Always, Hours, Time, read_hours
from recovery.models import CalendarDay, ServiceLevel, Ticket, TicketEntry

MINUTE = 60
BATCH = 500
# A clock that nobody started in time starts when it is found; otherwise with its case.
LATE_START = timedelta(hours=1)
# Minutes to the first answer and to the solution, and whether nights count: for what no row says.
DEFAULTS: dict[int, tuple[int, int, bool]] = {
    Ticket.Priority.URGENT: (30, 4 * 60, True),
    Ticket.Priority.HIGH: (60, 9 * 60, False),
    Ticket.Priority.NORMAL: (2 * 60, 18 * 60, False),
    Ticket.Priority.LOW: (9 * 60, 45 * 60, False),
}
# What is more urgent than what a merchant asks by themselves: the step says why the case was opened.
BY_STEP = {
    "tamper": Ticket.Priority.URGENT,
    "not_me": Ticket.Priority.URGENT,
    "veto": Ticket.Priority.URGENT,
    "guard": Ticket.Priority.HIGH,
}
WAITING = (Ticket.State.WAITING, Ticket.State.MANUFACTURER, Ticket.State.ACQUIRER)
ALIVE = (Ticket.State.OPEN, *WAITING)
# What the merchant heard: an answer they can read, or a call that was spoken.
HEARD = Q(internal=False) | Q(call__in=(TicketEntry.Call.REACHED, TicketEntry.Call.INCOMING))
# What a clock is written by: whoever read other values than are there does not write.
FACTS = ("state", "priority", "spent_s", "clock_from", "next_due_at", "answered_at")


def priority_of(step: str) -> int:
    """How urgent a case is that is opened at this step, until somebody says otherwise."""
    return BY_STEP.get(step, Ticket.Priority.NORMAL)


@dataclass(frozen=True, slots=True)
class Level:
    """What one priority is owed, in seconds of its own time."""

    answer_s: int
    solve_s: int
    time: Time

    @property
    def around_the_clock(self) -> bool:
        """Whether nights count."""
        return isinstance(self.time, Always)


@dataclass(frozen=True, slots=True)
class Service:
    """The desk's hours, and the level of every priority."""

    hours: Hours
    levels: dict[int, Level]

    def of(self, ticket: Ticket) -> Level:
        """The level that a case has."""
        return self.levels[ticket.priority]


def in_force() -> Service:
    """As it stands now; two queries."""
    opens, closes = read_hours(settings.REKEY_DESK_HOURS)
    days = dict(CalendarDay.objects.values_list("day", "works"))
    hours = Hours(opens, closes, timezone.get_default_timezone(), days)
    rows = ServiceLevel.objects.values_list("priority", "answer_minutes", "solve_minutes", "around_the_clock")
    told = DEFAULTS | {priority: tuple(rest) for priority, *rest in rows}
    levels = {
        priority: Level(answer * MINUTE, solve * MINUTE, Always() if always else hours)
        for priority, (answer, solve, always) in told.items()
    }
    return Service(hours, levels)


# ── one case ────────────────────────────────────────────────────────────────────────────────────────────────


def settle(ticket: Ticket, now_in_force: Service | None = None) -> bool:
    """Bring a case's clock to what its state and its entries say; whether something was to be done.

    Run it as often as one likes: a clock that is right stays as it is. Of two at once one writes.
    """
    fresh = Ticket.objects.get(pk=ticket.pk)
    facts = _settled(fresh, now_in_force or in_force(), timezone.now())
    changed = {name: value for name, value in facts.items() if getattr(fresh, name) != value}
    seen = {name: getattr(fresh, name) for name in FACTS}
    return bool(changed) and Ticket.objects.filter(pk=ticket.pk, **seen).update(**changed) == 1


def _settled(ticket: Ticket, served: Service, now: datetime) -> dict[str, Any]:
    """What the clock's columns have to be."""
    level = served.of(ticket)
    began = ticket.clock_from or _begin(ticket, now)
    facts: dict[str, Any] = {}
    if ticket.answered_at is None and (answer := _first_answer(ticket)) is not None:
        spent = ticket.spent_s + (level.time.between(began, answer) if began is not None else 0)
        facts = {"answered_at": answer, "answered_late": spent > level.answer_s}
    if ticket.state != Ticket.State.OPEN:
        facts |= _stopped(ticket, level, began, now)
    elif began is not None:
        answered = "answered_at" in facts or ticket.answered_at is not None
        owed = level.solve_s if answered else min(level.answer_s, level.solve_s)
        due = level.time.shift(began, owed - ticket.spent_s)
        facts |= {"clock_from": began, "still_since": None, "next_due_at": due, "solved_late": None}
        if due != ticket.next_due_at:
            facts["told_minutes"] = None
    return facts


def _begin(ticket: Ticket, now: datetime) -> datetime | None:
    """Since when a clock runs that did not run."""
    if ticket.state != Ticket.State.OPEN and (ticket.spent_s or ticket.still_since):
        return None
    fresh = not ticket.spent_s and ticket.still_since is None and now - ticket.created_at < LATE_START
    return ticket.created_at if fresh else now


def _stopped(ticket: Ticket, level: Level, began: datetime | None, now: datetime) -> dict[str, Any]:
    """A clock that stands still from now, or from when the case was closed."""
    closed = ticket.state == Ticket.State.CLOSED
    stop = ticket.closed_at or now if closed else now
    spent = ticket.spent_s + (level.time.between(began, stop) if began is not None else 0)
    late = {"solved_late": spent > level.solve_s} if closed and ticket.solved_late is None else {}
    if began is None:
        return late
    return {"clock_from": None, "next_due_at": None, "still_since": stop, "spent_s": spent, **late}


def _first_answer(ticket: Ticket) -> datetime | None:
    """When the merchant first heard from support; where nobody waits, when a colleague first wrote."""
    said = ticket.entries.filter(author=TicketEntry.Author.STAFF)
    if ticket.merchant_id is not None or ticket.phone:
        said = said.filter(HEARD)
    return said.order_by("at").values_list("at", flat=True).first()


# ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────


def unsettled() -> QuerySet[Ticket]:
    """Cases whose clock may not say what their state does: whoever changed them did not settle it."""
    answers = TicketEntry.objects.filter(ticket=OuterRef("pk"), author=TicketEntry.Author.STAFF)
    nobody_waits = Q(merchant=None, phone_digest="")
    heard = Exists(answers.filter(HEARD)) | (nobody_waits & Exists(answers))
    return Ticket.objects.filter(
        Q(state=Ticket.State.OPEN, next_due_at=None)
        | (~Q(state=Ticket.State.OPEN) & Q(next_due_at__isnull=False))
        | (Q(state__in=ALIVE, answered_at=None) & heard)
    )


def sweep() -> int:
    """Settle what was left; how many."""
    served = in_force()
    return sum(settle(ticket, served) for ticket in unsettled().order_by("pk")[:BATCH])


def reckon_anew() -> int:
    """Every deadline that runs, after the calendar or a level was changed; how many moved."""
    served = in_force()
    running = Ticket.objects.filter(state=Ticket.State.OPEN, next_due_at__isnull=False)
    return sum(settle(ticket, served) for ticket in list(running))
