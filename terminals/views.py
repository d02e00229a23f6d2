"""The owner's own pages: the shop, its terminals, pairing, and the history of resets."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from portal.accounts import owner_required
from portal.models import Merchant, User
from portal.people.nag import nags
from terminals import condition, overview, timeline
from terminals.forms import SWAP_REFUSALS, TAKEN, NewTerminalForm, StopForm, SwapForm, TerminalForm
from terminals.keys import issuer
from terminals.life import enrollment, pairing_codes, registry, stopping, swap
from terminals.models import PairingCode, Terminal
from terminals.protocol import PAIRING_LIFETIME

PER_PAGE = 25
page = require_http_methods(["GET", "HEAD", "POST"])


def merchant_of(request: HttpRequest) -> Merchant:
    """The merchant of the owner who is signed in; `owner_required` has seen to it."""
    user = request.user
    assert isinstance(user, User) and user.merchant is not None
    return user.merchant


def actor_of(request: HttpRequest) -> str:
    """The owner as the audit trail names people."""
    return f"user:{request.user.pk}"


def own(request: HttpRequest, pk: str) -> Terminal:
    """A terminal of this owner. Raises Http404 for others' just as for none."""
    return get_object_or_404(overview.terminals_of(merchant_of(request)), pk=pk)


@require_GET
@never_cache
@owner_required
def home(request: HttpRequest) -> HttpResponse:
    """Three questions: can everyone sign on, what needs me, what just happened."""
    merchant = merchant_of(request)
    terminals = list(overview.terminals_of(merchant))
    in_place = [terminal for terminal in terminals if terminal.replaced_by_id is None]
    lines = overview.terminal_lines(in_place, timezone.now())
    context = {
        "merchant": merchant,
        "rows": lines,
        "cannot_sign_on": overview.cannot_sign_on(lines),
        "todo": overview.duties(lines) + [overview.Duty(*nag) for nag in nags(merchant)],
        "events": timeline.events_of(merchant, terminals),
        "open_resets": timeline.open_resets(terminals),
    }
    return render(request, "terminals/home.html", context)


@require_GET
@never_cache
@owner_required
def terminal(request: HttpRequest, pk: str) -> HttpResponse:
    """One terminal: how it is, who is on it, what happened."""
    found = own(request, pk)
    context = {
        "terminal": found,
        "health": overview.health_of(found, timezone.now()),
        "operators": overview.operator_lines(found, timezone.now()),
        "facts": overview.facts_of(found),
        "condition": condition.condition(found, timezone.now()),
        "events": timeline.events_of(found.store.merchant, [found]),
        "paired": found.state == Terminal.State.ACTIVE,
        "cut_off_at": stopping.cut_off_at(found),
        "differing_serial": next(iter(enrollment.differing_serials(found)), None),
    }
    return render(request, "terminals/terminal.html", context)


@page
@never_cache
@owner_required
def terminal_new(request: HttpRequest) -> HttpResponse:
    """Add a terminal, then pair it."""
    form = NewTerminalForm(merchant_of(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            added = registry.add(form.save(commit=False), actor_of(request))
        except registry.AlreadyRegistered:
            form.add_error("number", TAKEN["unique"])
        else:
            return redirect("terminals:pair", added.pk)
    return _form(request, "terminals/terminal_new.html", form)


@page
@never_cache
@owner_required
def terminal_edit(request: HttpRequest, pk: str) -> HttpResponse:
    """Rename a terminal or move it to another store of the same merchant."""
    found = own(request, pk)
    form = TerminalForm(merchant_of(request), request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        registry.rename(form.save(commit=False), actor_of(request))
        messages.success(request, _("The change is saved."))
        return redirect("terminals:terminal", pk)
    return _form(request, "terminals/terminal_edit.html", form, terminal=own(request, pk))


def _form(request: HttpRequest, template: str, form: ModelForm[Any], **context: Any) -> HttpResponse:
    return render(request, template, {"form": form, **context})


@page
@never_cache
@owner_required
def terminal_stop(request: HttpRequest, pk: str) -> HttpResponse:
    """Ask, then stop a terminal that was lost."""
    found = own(request, pk)
    form = StopForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        if stopping.quarantine(found, actor_of(request), form.cleaned_data["reason"]):
            messages.success(request, _("%(name)s is stopped.") % {"name": found.name})
        return redirect("terminals:terminal", pk)
    context = {"terminal": found, "operators": found.operators.count(), "form": form}
    return render(request, "terminals/confirm_stop.html", context)


@page
@never_cache
@owner_required
def terminal_swap(request: HttpRequest, pk: str) -> HttpResponse:
    """Put a new machine in the place of one that is broken, lost or old."""
    found = own(request, pk)
    form = SwapForm(request.POST or None, initial={"model": found.model_id})
    if request.method == "POST" and form.is_valid():
        try:
            new = swap.swap(found, form.unit(found), actor_of(request))
        except swap.CannotSwap as refusal:
            form.add_error("number", SWAP_REFUSALS[refusal.reason])
        else:
            messages.success(request, _("The new machine has taken its place. Pair it now."))
            return redirect("terminals:pair", new.pk)
    context = {"terminal": found, "operators": found.operators.count(), "form": form}
    return render(request, "terminals/terminal_swap.html", context)


@require_GET
@never_cache
@owner_required
def pair(request: HttpRequest, pk: str) -> HttpResponse:
    """Where a terminal stands with pairing. A code is only in the page that made it: we keep its digest."""
    found = own(request, pk)
    return _pair(request, found, _pairing_state(found, timezone.now()))


@require_POST
@never_cache
@owner_required
def pair_new(request: HttpRequest, pk: str) -> HttpResponse:
    """Make a pairing code and show it, this once."""
    found = own(request, pk)
    try:
        code = pairing_codes.create_pairing_code(found, actor_of(request))
    except pairing_codes.NotPairable:
        messages.error(request, _("A stopped terminal cannot be paired. Contact support."))
        return redirect("terminals:terminal", pk)
    except issuer.NoKeyset:
        messages.error(request, _("Pairing is not set up on this server yet. Contact support."))
        return redirect("terminals:terminal", pk)
    return _pair(request, found, "alive", code)


@require_POST
@never_cache
@owner_required
def pair_revoke(request: HttpRequest, pk: str) -> HttpResponse:
    """Withdraw the pairing code that is alive."""
    if registry.withdraw_codes(own(request, pk), actor_of(request)):
        messages.success(request, _("The pairing code no longer works."))
    return redirect("terminals:pair", pk)


def _pair(
    request: HttpRequest, found: Terminal, state: str, code: pairing_codes.IssuedCode | None = None
) -> HttpResponse:
    left = (code.expires_at - timezone.now()).total_seconds() if code else 0
    context = {
        "terminal": found,
        "code": code,
        "state": state,
        "seconds_left": max(0, int(left)),
        "paired": found.state == Terminal.State.ACTIVE,
        "differing_serial": next(iter(enrollment.differing_serials(found)), None),
        "replacement": Terminal.objects.filter(replaced_by=found).exists(),
    }
    return render(request, "terminals/pair.html", context)


def _pairing_state(found: Terminal, now: datetime) -> str:
    """`used` or `expired` while that is news, else `none`."""
    newest = PairingCode.objects.filter(terminal=found).order_by("-created_at").first()
    news = now - timedelta(seconds=2 * PAIRING_LIFETIME)
    if newest is None or newest.created_at < news or newest.revoked_at is not None:
        return "none"
    if newest.used_at is not None and found.activated_at is not None and found.activated_at >= newest.used_at:
        return "used"
    return "expired" if newest.expires_at <= now and newest.used_at is None else "none"


@require_GET
@never_cache
@owner_required
def reset_history(request: HttpRequest) -> HttpResponse:
    """All resets of the shop, page by page."""
    terminals = list(overview.terminals_of(merchant_of(request)))
    page_obj = Paginator(timeline.resets_of(terminals), PER_PAGE).get_page(request.GET.get("page"))
    rows = timeline.reset_lines(page_obj.object_list, terminals)
    return render(request, "terminals/reset_history.html", {"rows": rows, "page_obj": page_obj})
