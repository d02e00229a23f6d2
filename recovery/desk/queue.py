"""The list of tickets: the views that an agent works from, and what one row says."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from recovery.models import Ticket
from terminals.health import judge

OPEN = ~Q(state=Ticket.State.CLOSED)
LABELS: dict[str, str | Promise] = {
    "mine": _("mine"),
    "unassigned": _("nobody's yet"),
    "waiting": _("waiting for the merchant"),
    "open": _("all that are open"),
    "closed": _("closed"),
}


def views_of(agent_id: int) -> dict[str, Q]:
    """Which tickets each view holds."""
    return {
        "mine": OPEN & Q(assignee=agent_id),
        "unassigned": OPEN & Q(assignee=None),
        "waiting": Q(state=Ticket.State.WAITING),
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
        wanted = views_of(request.user.pk or 0).get(self.value() or "")
        return queryset if wanted is None else queryset.filter(wanted)


def counted(agent_id: int) -> list[tuple[str, str | Promise, int]]:
    """Every view with how many tickets it holds, in one query."""
    views = {name: Count("pk", filter=held) for name, held in views_of(agent_id).items()}
    found = Ticket.objects.aggregate(**views)
    return [(name, LABELS[name], found[name]) for name in views]


def health_cell(ticket: Ticket) -> str:
    """How the terminal that somebody got stuck with is doing; its row may be a minute behind."""
    terminal = ticket.stuck_terminal
    if terminal is None:
        return "–"
    status = getattr(terminal, "status", None)
    health = judge(terminal, status.last_seen_at if status is not None else None, timezone.now())
    return render_to_string("elements/health.html", {"health": health})
