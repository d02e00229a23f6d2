"""What a ticket's page shows beside its story, and what its agent may write there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import prefetch_related_objects
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal.codes import read_number
from portal.forms import PlainForm
from portal.models import User
from portal.secrets import mask_phone
from recovery.desk import tickets
from recovery.desk.panel import panel
from recovery.desk.timeline import Kind, timeline
from recovery.forms import refuse_oddities
from recovery.models import CannedReply, Ticket, TicketEntry
from terminals.models import Terminal
from terminals.overview import health_of

STUCK: Mapping[str, str | Promise] = {
    "code": _("Waiting for the code"),
    "choose": _("Choosing terminal and operator"),
    "password": _("Setting the password"),
    "waiting": _("Waiting for the terminal"),
    "refused": _("The terminal did not take it"),
    "done": _("After the reset"),
    "call": _("Phone call"),
    "tamper": _("Opened by force"),
    "not_me": _("“This wasn't me”"),
    "veto": _("A change was undone"),
    "guard": _("Alarm"),
    "over": _("After the journey was over"),
}


class TicketForm(PlainForm):
    """What an agent writes about a case, and which state of it they had before them."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    text = forms.CharField(
        label=_("Answer or note"),
        help_text=_("Numbers like a password, a code or an identity number are covered before it is kept."),
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 4, "data-key": "r"}),
        validators=[refuse_oddities],
    )
    canned = forms.ModelChoiceField(
        label=_("Prepared answer"),
        queryset=CannedReply.objects.filter(active=True),
        required=False,
        widget=forms.Select(attrs={"data-key": "p"}),
    )
    into = forms.CharField(
        label=_("Merge into ticket"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"data-key": "m"}),
    )
    to = forms.ModelChoiceField(
        label=_("Hand over to"),
        queryset=User.objects.filter(is_staff=True, is_active=True).order_by("username"),
        required=False,
        widget=forms.Select(attrs={"data-key": "h"}),
    )

    def clean_into(self) -> str:
        """Its one written form, or ""."""
        typed = str(self.cleaned_data["into"])
        number = read_number(typed) if typed else ""
        if number is None:
            raise forms.ValidationError(_("The number has 8 letters and digits, such as C7F3-K229."))
        return number

    def show(self, text: str) -> None:
        """Print this in the box instead of what was typed."""
        self.data = {**{name: self.data.get(name, "") for name in self.fields}, "text": text}


def page(ticket: Ticket, agent: User, only: str) -> dict[str, Any]:
    """Everything the page of one ticket shows; `only` one kind of lines, or all of them for anything else."""
    prefetch_related_objects([ticket], "merged")
    lines = timeline(ticket)
    kind = only if only in Kind.values else ""
    return {
        "lines": [line for line in lines if not kind or line.kind == kind],
        "kinds": [("", _("all")), *Kind.choices],
        "only": kind,
        "others": tickets.others_at(ticket, agent),
        "stuck_at": STUCK.get(ticket.step, ticket.step),
        "calls": TicketEntry.Call.choices,
        "parts": list(ticket.merged.all()),
        "merchant": ticket.merchant,
        "merchant_phone": mask_phone(ticket.merchant.phone) if ticket.merchant is not None else "",
        **_terminal(ticket),
        **panel(ticket, agent),
    }


def _terminal(ticket: Ticket) -> dict[str, Any]:
    """The terminal it is about: of the newest verification, else of the recovery somebody got stuck in."""
    verified = (
        ticket.verifications.order_by("-created_at").values_list("recovery__terminal", flat=True).first()
    )
    stuck = ticket.stuck_terminal.pk if ticket.stuck_terminal is not None else None
    found = Terminal.objects.select_related("status", "model").filter(pk=verified or stuck).first()
    return {"terminal": found, "health": health_of(found, timezone.now()) if found is not None else None}
