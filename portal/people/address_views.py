"""Naming, replacing, confirming and removing addresses: a code goes out, and the code comes back."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal import addresses, challenges, changes
from portal.changes import Refused, Wanted, What
from portal.forms import CodeForm
from portal.models import Address, AddressChange
from portal.network import address_block, client_address
from portal.people.forms import NewAddressForm, ToForm
from portal.people.guard import actor_of, merchant_of, owner_of
from portal.stepup import proof_required
from portal.views import WORDS

page = require_http_methods(["GET", "HEAD", "POST"])
REFUSALS = {
    "known": gettext_lazy("This one is registered already."),
    "many": gettext_lazy("Eight is the most. Remove one that you no longer use."),
    "recovery": gettext_lazy("A reset is under way. Finish it, or wait until it is over; then come back."),
    "frozen": gettext_lazy("Somebody said “this wasn't me”. For an hour nothing is changed here."),
    "limit": gettext_lazy("Those were all the codes for today. Try again tomorrow, or ask support."),
}


def posted(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A form without a page of its own: whoever comes by a link, as after a fresh proof, sees where it is."""

    @wraps(view)
    def guarded(request: HttpRequest, **kwargs: str) -> HttpResponse:
        return view(request, **kwargs) if request.method == "POST" else redirect("portal:proofs")

    return guarded


def _own(request: HttpRequest, pk: str) -> Address:
    return get_object_or_404(addresses.alive(merchant_of(request)), pk=pk)


def _ask(request: HttpRequest, what: What, to: str, **facts: Any) -> AddressChange:
    """Begin a change as this owner, from where they are. Raises Refused."""
    facts.setdefault("locale", get_language() or "zh-hans")
    block = address_block(client_address(request))
    return changes.ask(Wanted(merchant_of(request), what, to, owner_of(request), block, **facts))


def _asked(request: HttpRequest, form: ToForm, what: What, **facts: Any) -> bool:
    kind, to = form.cleaned_data["to"]
    try:
        _ask(request, what, to, kind=kind, **facts)
    except Refused as refusal:
        form.add_error("to", ValidationError(REFUSALS[refusal.reason], code=refusal.reason))
        return False
    return True


@page
@never_cache
@proof_required
def new(request: HttpRequest) -> HttpResponse:
    """Name another address of one's own, or somebody who may help."""
    form = NewAddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        facts = {name: form.cleaned_data[name] for name in ("holder", "name")}
        if _asked(request, form, What.NEW, **facts):
            return redirect("portal:address_code")
    return render(request, "portal/address_new.html", {"form": form})


@page
@never_cache
@proof_required
def change_phone(request: HttpRequest) -> HttpResponse:
    """Replace the registered phone."""
    form = ToForm(request.POST or None, kind=Address.Kind.PHONE)
    if request.method == "POST" and form.is_valid() and _asked(request, form, What.REGISTERED):
        return redirect("portal:address_code")
    context = {"form": form, "masked": merchant_of(request).masked_phone, "registered": True}
    return render(request, "portal/address_change.html", context)


@page
@never_cache
@proof_required
def change(request: HttpRequest, pk: str) -> HttpResponse:
    """Replace another address."""
    old = _own(request, pk)
    form = ToForm(request.POST or None, kind=old.kind)
    if request.method == "POST" and form.is_valid():
        facts = {"address": old, "holder": old.holder, "name": old.name, "locale": old.locale}
        if _asked(request, form, What.REPLACED, **facts):
            return redirect("portal:address_code")
    return render(request, "portal/address_change.html", {"form": form, "masked": old.masked})


@page
@never_cache
@proof_required
@posted
def confirm(request: HttpRequest, pk: str = "") -> HttpResponse:
    """Send a code to an address, or to the registered phone, to see that it is still theirs."""
    address = _own(request, pk) if pk else None
    to = address.value if address else merchant_of(request).phone
    facts: dict[str, Any] = {"address": address}
    if address is not None:
        facts |= {"kind": address.kind, "holder": address.holder, "locale": address.locale}
    try:
        _ask(request, What.CONFIRMED, to, **facts)
    except Refused as refusal:
        messages.warning(request, REFUSALS[refusal.reason])
        return redirect("portal:proofs")
    return redirect("portal:address_code")


@page
@never_cache
@proof_required
def code(request: HttpRequest) -> HttpResponse:
    """Type the code that went to the address."""
    waiting = changes.pending(merchant_of(request), owner_of(request))
    if waiting is None or waiting.challenge is None:
        return redirect("portal:proofs")
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        outcome = changes.prove(waiting, form.cleaned_data["code"])
        if outcome.ok:
            messages.success(request, DONE[What(waiting.what)])
            return redirect("portal:proofs")
        form.add_error("code", ValidationError(WORDS[outcome.reason], code=outcome.reason))
        waiting.challenge.refresh_from_db()
    context = {
        "form": form,
        "change": waiting,
        "masked": waiting.masked,
        "wait": challenges.next_send_in(waiting.challenge),
        "sends_left": challenges.sends_left(waiting.challenge),
        "dead": challenges.tries_left(waiting.challenge) == 0,
    }
    return render(request, "portal/address_code.html", context)


DONE = {
    What.REGISTERED: gettext_lazy(
        "The phone is replaced; old and new were told. For 72 hours it can be undone."
    ),
    What.NEW: gettext_lazy("It is registered. For 72 hours it helps with ordinary operators only."),
    What.REPLACED: gettext_lazy("It is replaced. For 72 hours it helps with ordinary operators only."),
    What.CONFIRMED: gettext_lazy("Confirmed. It is still yours."),
}


@page
@never_cache
@proof_required
@posted
def resend(request: HttpRequest) -> HttpResponse:
    """The same code again, when its time has come."""
    waiting = changes.pending(merchant_of(request), owner_of(request))
    if waiting is not None:
        challenges.resend(str(waiting.challenge_id), changes.template_of(waiting), waiting.locale)
    return redirect("portal:address_code")


@page
@never_cache
@proof_required
def remove(request: HttpRequest, pk: str) -> HttpResponse:
    """Ask, then remove an address."""
    address = _own(request, pk)
    if request.method == "POST":
        if addresses.retire(address, actor_of(request)):
            messages.success(request, _("%(address)s is removed.") % {"address": address.masked})
        return redirect("portal:proofs")
    return render(request, "portal/address_remove.html", {"address": address})


@page
@never_cache
@proof_required
@posted
def undo(request: HttpRequest, number: str) -> HttpResponse:
    """Stop a change that stands."""
    mine = AddressChange.objects.select_related("merchant", "address")
    if changes.stop(get_object_or_404(mine, merchant=merchant_of(request), number=number), actor_of(request)):
        messages.success(request, _("It is undone. Everything is as it was before."))
    return redirect("portal:proofs")
