"""Cases: how many there were, how soon support answered them, and how soon they were closed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from recovery.desk.reports.percentiles import ALL, SPREAD, Spread, spread_of, spreads
from recovery.desk.reports.shape import Figure, Line, Measure, Period, Text, Unit, share
from recovery.desk.reports.words import case
from recovery.models import Ticket, TicketEntry

STUCK_AT = (("step", _("Got stuck at")),)
# As the clock noted it; what was closed before there was a clock says so by its entries only.
ANSWERED_AT = Coalesce(
    "answered_at",
    Subquery(
        TicketEntry.objects.filter(ticket=OuterRef("pk"), author=TicketEntry.Author.STAFF, internal=False)
        .order_by("at")
        .values("at")[:1]
    ),
)


def _opened_in(period: Period) -> QuerySet[Ticket]:
    return Ticket.objects.filter(created_at__gte=period.since, created_at__lte=period.until)


def cases(period: Period) -> Figure:
    """How many cases were opened, by where somebody got stuck, and how many are closed."""
    counted = (
        _opened_in(period)
        .values_list("step")
        .annotate(opened=Count("pk"), closed=Count("pk", filter=Q(state=Ticket.State.CLOSED)))
        .order_by("-opened")
    )
    return Figure(
        "cases",
        _("Cases"),
        _("By where self-service ended."),
        STUCK_AT,
        (Measure("opened", _("opened")), Measure("closed", _("closed of these"))),
        tuple(_case(step, {"opened": opened, "closed": closed}) for step, opened, closed in counted),
    )


def _case(step: str, values: Mapping[str, float | None]) -> Line:
    return Line((step,), (_("all") if step == ALL else case(step),), values)


def promises(period: Period) -> Figure:
    """How many cases were answered or closed later than their service level allows, by priority."""
    counted = (
        _opened_in(period)
        .values("priority")
        .annotate(
            opened=Count("pk"),
            late_answers=Count("pk", filter=Q(answered_late=True)),
            late_ends=Count("pk", filter=Q(solved_late=True)),
            late=Count("pk", filter=Q(answered_late=True) | Q(solved_late=True)),
        )
        .order_by("priority")
    )
    return Figure(
        "promises",
        _("Kept and late"),
        _("Against the service level of each priority, in business hours, while the clock ran."),
        (("priority", _("Priority")),),
        (
            Measure("opened", _("opened")),
            Measure("late_answers", _("answered late")),
            Measure("late_ends", _("closed late")),
            Measure("share", _("share that was late"), Unit.SHARE),
        ),
        tuple(_promise(**one) for one in counted),
    )


def _promise(priority: int, late: int, **counts: int) -> Line:
    label = Ticket.Priority(priority).label
    return Line((str(priority),), (label,), {**counts, "share": share(late, counts["opened"])})


def first_response(period: Period) -> Figure:
    """From opening a case to the first word of support to the merchant."""
    found = spreads(_opened_in(period), ANSWERED_AT - F("created_at"), "step")
    title, note = _("First response"), _("Until support first answered the merchant; notes do not count.")
    return _of_cases("first_response", title, note, found)


def resolution(period: Period) -> Figure:
    """From opening a case to closing it."""
    closed = _opened_in(period).filter(state=Ticket.State.CLOSED)
    found = spreads(closed, F("closed_at") - F("created_at"), "step")
    return _of_cases("resolution", _("Until closed"), _("Of those that are closed."), found)


def _of_cases(key: str, title: Text, note: Text, found: Mapping[str, Spread]) -> Figure:
    def most_first(one: tuple[str, Any]) -> tuple[bool, int]:
        return one[0] != ALL, -one[1].count

    lines = _lines(sorted(found.items(), key=most_first))
    return Figure(key, title, note, STUCK_AT, (Measure("cases", _("cases")), *SPREAD), lines)


def _lines(found: Iterable[tuple[str, Spread]]) -> tuple[Line, ...]:
    return tuple(_case(step, spread_of(spread, "cases")) for step, spread in found)
