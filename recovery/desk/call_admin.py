"""Noting a call to the hotline: one short form, and two keys that end it."""

from __future__ import annotations

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from portal.admin_site import change_address
from portal.forms import PhoneField, PlainForm
from portal.models import User
from recovery.desk import casework
from recovery.forms import refuse_oddities


class CallForm(PlainForm):
    """Who called, and what it was about; none of it is proved by being typed."""

    phone = PhoneField(label=_("Phone of the caller"))
    shop = forms.RegexField(
        r"\A[0-9]{15}\Z",
        label=_("Merchant number, if they say it"),
        help_text=_("15 digits. Kept as something that was said, not as proved."),
        required=False,
    )
    text = forms.CharField(
        label=_("What is it about?"),
        help_text=_("Numbers like a password, a code or an identity number are covered before it is kept."),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        validators=[refuse_oddities],
    )


def note_call(request: HttpRequest) -> HttpResponse:
    """Take down a call: opened as the agent's ticket, or closed at once where the call was enough."""
    agent = request.user
    if not isinstance(agent, User) or not agent.has_perm("recovery.change_ticket"):
        raise PermissionDenied
    form = CallForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        caller = casework.Caller(**form.cleaned_data)
        ticket = casework.open_for_caller(caller, agent, solved="_solved" in request.POST)
        messages.info(request, str(_("The call is noted.")))
        return HttpResponseRedirect(change_address(ticket))
    context = {**admin.site.each_context(request), "title": _("Note a call"), "form": form}
    return render(request, "admin/recovery/ticket/call.html", context)
