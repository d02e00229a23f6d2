"""The list of tickets: the views that an agent works from, and what one row says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.db.models import Count, F, OrderBy, Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from portal.models import User
from recovery.desk.clocks import Service, in_force
from recovery.desk.escalation import due_by
from recovery.models import Ticket
from terminals.health import judge

SOON_S = 3600
OPEN = ~Q(state=Ticket.State.CLOSED)
LABELS: dict[str, str | Promise] = {
    "mine": _("mine"),
    "unassigned": _("nobody's yet"),
    "late": _("past due"),
    "soon": _("due within the hour"),
    "waiting": _("waiting for the merchant"),
    "manufacturer": _("waiting for the manufacturer"),
    "acquirer": _("waiting for the acquirer"),
    "open": _("all that are open"),
    "closed": _("closed"),
}
TAGS: dict[int, str] = {Ticket.Priority.URGENT: "tag tag--stop", Ticket.Priority.HIGH: "tag tag--wait"}
# The longest wait first; what ended last first; else what is due first.
ORDERS: dict[str, tuple[str, ...]] = {
    "waiting": ("still_since", "-created_at"),
    "manufacturer": ("still_since", "-created_at"),
    "acquirer": ("still_since", "-created_at"),
    "closed": ("-closed_at", "-created_at"),
}


def served_in(request: HttpRequest) -> Service:
    """The service levels, read once for a page."""
    known: Service | None = getattr(request, "served", None)
    if known is None:
        known = in_force()
        request.served = known  # type: ignore[attr-defined] # one page long
    return known


def views_of(agent_id: int, served: Service, now: datetime) -> dict[str, Q]:
    """Which tickets each view holds."""
    late = due_by(served, now, 0)
    return {
        "mine": OPEN & Q(assignee=agent_id),
        "unassigned": OPEN & Q(assignee=None),
        "late": late,
        "soon": due_by(served, now, SOON_S) & ~Q(next_due_at__lte=now),
        "waiting": Q(state=Ticket.State.WAITING),
        "manufacturer": Q(state=Ticket.State.MANUFACTURER),
        "acquirer": Q(state=Ticket.State.ACQUIRER),
        "open": OPEN,
        "closed": Q(state=Ticket.State.CLOSED),
    }


class View(admin.SimpleListFilter):
    """One of the views; without one the list holds every ticket."""

    title = _("view")
    parameter_name = "view"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The views that there are."""
        return list(LABELS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The tickets of the view asked for."""
        views = views_of(request.user.pk or 0, served_in(request), timezone.now())
        wanted = views.get(self.value() or "")
        return queryset if wanted is None else queryset.filter(wanted)


def counted(request: HttpRequest) -> list[tuple[str, str | Promise, int]]:
    """Every view with how many tickets it holds, in one query."""
    held = views_of(request.user.pk or 0, served_in(request), timezone.now())
    found = Ticket.objects.aggregate(**{name: Count("pk", filter=each) for name, each in held.items()})
    return [(name, LABELS[name], found[name]) for name in held]


def order_of(view: str) -> tuple[str | OrderBy, ...]:
    """What comes first in a view."""
    due_first = (F("next_due_at").asc(nulls_last=True), "-created_at")
    return ORDERS.get(view) or due_first


class TicketList(ChangeList):
    """The list with the clock of each row, by the service levels of this page."""

    def get_ordering_field_columns(self) -> dict[int, Literal["desc", "asc"]]:
        """Columns that somebody chose to sort by; the order of a view is no single column's."""
        chosen = ORDER_VAR in self.params
        return super().get_ordering_field_columns() if chosen else {}

    def get_results(self, request: HttpRequest) -> None:
        """The rows of one page."""
        super().get_results(request)
        served, now = served_in(request), timezone.now()
        for ticket in self.result_list:
            ticket.clock = clock_of(ticket, served, now)


class AssignForm(ActionForm):
    """Whom the chosen tickets go to, beside what is to be done."""

    to = forms.ModelChoiceField(
        label=_("to"),
        queryset=User.objects.filter(is_staff=True, is_active=True).order_by("username"),
        required=False,
    )


# ── what a row says ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Clock:
    """How a case stands: runs, soon, late, still or closed; `left_s` of its own time, or past it."""

    kind: str
    answer: bool
    left_s: int
    due_at: datetime | None
    state: str
    since: datetime | None


def clock_of(ticket: Ticket, served: Service, now: datetime) -> Clock:
    """The clock of a case at a moment; no query."""
    due, level = ticket.next_due_at, served.of(ticket)
    answer = ticket.answered_at is None and level.answer_s <= level.solve_s
    if ticket.state == Ticket.State.CLOSED:
        kind, left = "closed", 0
    elif due is None:
        kind, left = "still", max(0, level.solve_s - ticket.spent_s)
    elif due <= now:
        kind, left = "late", level.time.between(due, now)
    else:
        left = level.time.between(now, due)
        kind = "soon" if left <= SOON_S else "runs"
    return Clock(kind, answer, left, due, str(ticket.get_state_display()), ticket.still_since)


def clock_cell(ticket: Ticket) -> str:
    """The clock in words."""
    clock: Clock = ticket.clock  # type: ignore[attr-defined] # the list put it there
    return render_to_string("admin/recovery/ticket/clock.html", {"clock": clock, "late": ticket.solved_late})


def priority_tag(ticket: Ticket) -> SafeString | str:
    """How urgent a case is, where it is not as most are."""
    if ticket.priority == Ticket.Priority.NORMAL:
        return ""
    look = TAGS.get(ticket.priority, "tag")
    return format_html(' <span class="{}">{}</span>', look, ticket.get_priority_display())


def health_cell(ticket: Ticket) -> str:
    """How the terminal that somebody got stuck with is doing; its row may be a minute behind."""
    terminal = ticket.stuck_terminal
    if terminal is None:
        return "–"
    status = getattr(terminal, "status", None)
    health = judge(terminal, status.last_seen_at if status is not None else None, timezone.now())
    return render_to_string("elements/health.html", {"health": health})
