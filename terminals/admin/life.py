"""What support decides about one terminal: stop it, let it in again, shut it out, replace it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal.admin_site import change_address
from portal.templatetags.rekey import when
from terminals.admin.forms import ReasonForm
from terminals.forms import SWAP_REFUSALS, SwapForm
from terminals.life import stopping, swap
from terminals.models import Terminal
from terminals.protocol import is_id

State = Terminal.State
MAY_CHANGE = "terminals.change_terminal"
SHUT_OUT = (State.QUARANTINED, State.REVOKED)
STOP_REASONS = [choice for choice in Terminal.StopReason.choices if choice[0] != Terminal.StopReason.SWAPPED]


class StopForm(forms.Form):
    """Why a terminal is stopped; what follows depends on it."""

    reason = forms.ChoiceField(label=_("What happened?"), choices=STOP_REASONS)


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing support can decide: when it is on offer, what is asked, what it does, how it is told."""

    verb: str
    title: str | Promise
    about: str | Promise
    form: type[forms.Form]
    offered: Callable[[Terminal], bool]
    act: Callable[[Terminal, str, dict[str, Any]], bool]
    done: str | Promise


DECISIONS = {
    decision.verb: decision
    for decision in (
        Decision(
            "stop",
            _("Stop"),
            _(
                "From its next call on it gets nothing but a lock or a factory reset. Stolen: it is told to "
                "lock itself at once. A day after it has locked itself, or after 30 days, it is shut out "
                "for good."
            ),
            StopForm,
            lambda terminal: terminal.state not in SHUT_OUT,
            lambda terminal, by, typed: stopping.quarantine(terminal, by, typed["reason"]),
            _("It is stopped."),
        ),
        Decision(
            "release",
            _("Let in again"),
            _(
                "One that was mislaid works again at once. One that was stolen, opened or shut out has to be "
                "paired anew. Unlocking without a network works after the next pairing only."
            ),
            ReasonForm,
            lambda terminal: stopping.comes_back_as(terminal) is not None,
            lambda terminal, by, typed: stopping.release(terminal, by, typed["why"]),
            _("It is let in again."),
        ),
        Decision(
            "revoke",
            _("Shut out for good"),
            _("It gets no commands any more, not even a lock, and is told so. Its history stays."),
            ReasonForm,
            lambda terminal: terminal.state != State.REVOKED,
            lambda terminal, by, typed: stopping.revoke(terminal, by, typed["why"]),
            _("It is shut out."),
        ),
    )
}


def story(terminal: Terminal) -> SafeString | str:
    """Why it was stopped, when, what follows by itself, and what stands in its place; a dash for nothing."""
    told = []
    if terminal.stopped_at is not None:
        told.append(f"{terminal.get_stop_reason_display()}, {when(terminal.stopped_at)}")
    cut_off = stopping.cut_off_at(terminal)
    if cut_off is not None:
        told.append(gettext("shut out for good on %(day)s at the latest") % {"day": when(cut_off)})
    if terminal.replaced_by is None:
        return "; ".join(told) or "–"
    address = change_address(terminal.replaced_by)
    there = format_html('<a href="{}">{}</a>', address, terminal.replaced_by)
    return format_html("{}; {} {}", "; ".join(told), gettext("in its place:"), there)


def links(terminal: Terminal) -> list[dict[str, Any]]:
    """What is on offer for this terminal, for the top of its page."""
    offered = [decision for decision in DECISIONS.values() if decision.offered(terminal)]
    found = [{"title": each.title, "url": _address(each.verb, terminal)} for each in offered]
    if terminal.state != State.REVOKED:
        found.append({"title": _("Replace"), "url": _address("swap", terminal)})
    return found


def _address(verb: str, terminal: Terminal) -> str:
    return reverse(f"admin:terminals_terminal_{verb}", args=[terminal.pk])


def urls() -> list[URLPattern]:
    """The addresses of these pages, below a terminal's own."""
    found = [
        path(f"<str:pk>/{verb}", _page(decide, verb), name=f"terminals_terminal_{verb}") for verb in DECISIONS
    ]
    return [*found, path("<str:pk>/swap", _page(replace, ""), name="terminals_terminal_swap")]


def _page(view: Callable[[HttpRequest, Terminal, str], HttpResponse], verb: str) -> Any:
    def shown(request: HttpRequest, pk: str) -> HttpResponse:
        if not request.user.has_perm(MAY_CHANGE):
            raise PermissionDenied
        if not is_id(pk, "trm"):
            raise Http404
        terminal = get_object_or_404(Terminal.objects.select_related("store__merchant"), pk=pk)
        return view(request, terminal, verb)

    return admin.site.admin_view(shown)


def decide(request: HttpRequest, terminal: Terminal, verb: str) -> HttpResponse:
    """Ask, then do it."""
    decision = DECISIONS[verb]
    if not decision.offered(terminal):
        return _back(request, terminal, _("That is not possible any more."), messages.WARNING)
    form = decision.form(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        done = decision.act(terminal, f"user:{request.user.pk}", form.cleaned_data)
        text = decision.done if done else _("That is not possible any more.")
        return _back(request, terminal, text, messages.SUCCESS if done else messages.WARNING)
    return _ask(request, terminal, form, decision.title, decision.about)


def replace(request: HttpRequest, terminal: Terminal, verb: str) -> HttpResponse:
    """Put a new machine in its place."""
    form = SwapForm(request.POST if request.method == "POST" else None, initial={"model": terminal.model_id})
    if request.method == "POST" and form.is_valid():
        try:
            new = swap.swap(terminal, form.unit(terminal), f"user:{request.user.pk}")
        except swap.CannotSwap as refusal:
            form.add_error("number", SWAP_REFUSALS[refusal.reason])
        else:
            return _back(
                request, new, _("The new machine has taken its place. Pair it now."), messages.SUCCESS
            )
    about = _(
        "The old terminal is shut out for good. Its operators come along and choose new passwords once the "
        "new machine is paired; passwords on their way to the old one have to be set again."
    )
    return _ask(request, terminal, form, _("Replace"), about)


def _ask(
    request: HttpRequest, terminal: Terminal, form: forms.Form, verb: str | Promise, about: str | Promise
) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "opts": Terminal._meta,
        "title": f"{verb}: {terminal}",
        "verb": verb,
        "about": about,
        "terminal": terminal,
        "form": form,
    }
    return TemplateResponse(request, "admin/terminals/decision.html", context)


def _back(request: HttpRequest, terminal: Terminal, text: str | Promise, level: int) -> HttpResponse:
    messages.add_message(request, level, str(text))
    return HttpResponseRedirect(change_address(terminal))
