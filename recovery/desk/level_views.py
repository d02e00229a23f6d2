"""A case's service level on its page: what it owes, how urgent it is, and whom it waits for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from portal.admin_site import change_address
from portal.forms import PlainForm
from portal.models import User
from recovery.desk import service
from recovery.desk.clocks import ALIVE, in_force
from recovery.desk.queue import clock_of, priority_tag
from recovery.desk.tickets import Stale
from recovery.models import Ticket


class LevelForm(PlainForm):
    """How urgent a case is and whom it waits for, and which state of it the page showed."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput(attrs={"id": "id_level_version"}))
    priority = forms.TypedChoiceField(
        label=gettext_lazy("Priority"), choices=Ticket.Priority.choices, coerce=int
    )
    state = forms.ChoiceField(
        label=gettext_lazy("State"),
        choices=[choice for choice in Ticket.State.choices if choice[0] in ALIVE],
    )


def level_panel(ticket: Ticket) -> dict[str, Any]:
    """The panel's context: two queries."""
    served = in_force()
    facts = {"version": ticket.version, "priority": ticket.priority, "state": ticket.state}
    return {
        "level": {
            "clock": clock_of(ticket, served, timezone.now()),
            "priority": priority_tag(ticket) or ticket.get_priority_display(),
            "form": LevelForm(initial=facts),
            "open": ticket.state in ALIVE,
        }
    }


@require_POST
def set_level(request: HttpRequest, ticket_id: str) -> HttpResponse:
    """Do what the panel's key says, and show the case again."""
    agent = request.user
    if not isinstance(agent, User) or not agent.has_perm("recovery.change_ticket"):
        raise PermissionDenied
    ticket = get_object_or_404(Ticket, pk=ticket_id)
    form = LevelForm(request.POST)
    if form.is_valid():
        try:
            said = _done(ticket, agent, form.cleaned_data)
        except Stale:
            messages.error(request, _("Somebody did something about this case after you opened it."))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.info(request, said)
    return HttpResponseRedirect(change_address(ticket))


def _done(ticket: Ticket, agent: User, wanted: dict[str, Any]) -> str:
    version = wanted["version"]
    other_state, other_priority = wanted["state"] != ticket.state, wanted["priority"] != ticket.priority
    if other_state:
        service.wait_for(ticket, agent, wanted["state"], version=version)
    if other_priority:
        service.set_priority(ticket, agent, wanted["priority"], version=version + other_state)
    return _("The case is as you set it.") if other_state or other_priority else _("Nothing was changed.")
