"""Doors for passkeys: sign in with one; make, name and remove one."""

from __future__ import annotations

import json
import secrets
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal import accounts, factors, known_browsers, passkeys, stepup
from portal.accounts import OWNERS, owner_required, owner_signed_in
from portal.answers import too_many
from portal.forms import NameForm, NewPasskeyForm, PasskeyForm
from portal.limits import shield
from portal.models import Passkey, User
from portal.network import address_block, client_address
from portal.stepup import proof_required, proof_to_enrol

BROWSER = "passkey_browser"
NOT_PROVED = _("That passkey could not be used. Try again, or sign in another way.")


def subject_of(request: HttpRequest) -> str:
    """What challenges given to this browser are bound to; it lives as long as the session."""
    browser = request.session.setdefault(BROWSER, secrets.token_urlsafe(16))
    return f"browser:{browser}"


def possible(request: HttpRequest) -> bool:
    """Whether browsers let passkeys be used under the address that this page was opened by."""
    return request.get_host() == passkeys.relying_party().host


def options(text: str) -> HttpResponse:
    """Options as the browser's script takes them."""
    return JsonResponse(json.loads(text))


def _owner(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


# ── signing in ──────────────────────────────────────────────────────────────────────────────────────────────


@require_POST
@never_cache
def sign_in_options(request: HttpRequest) -> HttpResponse:
    """A challenge for whatever passkey the person picks."""
    taken = shield("sign-in", address_block(client_address(request)))
    if not taken.ok:
        return too_many(request, taken.resets_in)
    return options(passkeys.assertion(accounts.PASSKEY, subject_of(request)))


@require_POST
@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    """Come in with a passkey alone: it stands for password and second factor."""
    form = PasskeyForm(request.POST)
    answer = form.data.get("response", "") if not form.is_valid() else form.cleaned_data["response"]
    if form.is_valid() and accounts.check_passkey(request, OWNERS, subject_of(request), answer):
        response = redirect(form.cleaned_data["next"] or OWNERS.home)
        known_browsers.note_sign_in(request, response, _owner(request))
        return response
    messages.error(request, NOT_PROVED)
    return redirect(OWNERS.page)


# ── proving it again ────────────────────────────────────────────────────────────────────────────────────────


@require_POST
@owner_signed_in
def confirm_options(request: HttpRequest) -> HttpResponse:
    """A challenge for one of the owner's own passkeys."""
    return options(passkeys.assertion(stepup.PURPOSE, subject_of(request), (_owner(request),)))


@require_POST
@owner_signed_in
def confirm(request: HttpRequest) -> HttpResponse:
    """Prove it again with a passkey."""
    form = PasskeyForm(request.POST)
    proved = form.is_valid() and passkeys.verify(
        stepup.PURPOSE, subject_of(request), form.cleaned_data["response"]
    )
    if not proved or proved.user_id != request.user.pk:
        messages.error(request, NOT_PROVED)
        return redirect("portal:confirm")
    stepup.prove(request, proved)
    return redirect(form.cleaned_data["next"] or "portal:account")


# ── having them ─────────────────────────────────────────────────────────────────────────────────────────────


@require_POST
@proof_to_enrol
def new_options(request: HttpRequest) -> HttpResponse:
    """A challenge for a new passkey."""
    return options(passkeys.registration(_owner(request), subject_of(request)))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@proof_to_enrol
def new(request: HttpRequest) -> HttpResponse:
    """Make a passkey and name it."""
    form = NewPasskeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and (made := _make(request, form)):
        messages.success(request, _("The passkey is ready. From now on you can sign in with it."))
        factors.note_added(_owner(request), made)
        return redirect("portal:account")
    return render(request, "portal/passkey_new.html", {"form": form, **facts(request)})


def _make(request: HttpRequest, form: NewPasskeyForm) -> Passkey | None:
    typed = form.cleaned_data
    try:
        return passkeys.register(_owner(request), subject_of(request), typed["response"], typed["name"])
    except passkeys.NotProved:
        form.add_error(
            None, ValidationError(_("The passkey could not be made. Try once more."), code="unproved")
        )
        return None


def facts(request: HttpRequest) -> dict[str, Any]:
    """Whether passkeys work here, and if not, where."""
    return {"passkeys_work": possible(request), "passkey_origin": passkeys.relying_party().origin}


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@owner_required
def rename(request: HttpRequest, pk: int) -> HttpResponse:
    """Call a passkey something else."""
    passkey = get_object_or_404(Passkey, pk=pk, user=_owner(request))
    form = NameForm(request.POST or None, initial={"name": passkey.name})
    if request.method == "POST" and form.is_valid():
        Passkey.objects.filter(pk=passkey.pk).update(name=form.cleaned_data["name"])
        return redirect("portal:account")
    return render(request, "portal/passkey_edit.html", {"form": form, "passkey": passkey})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@proof_required
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask first, then forget a passkey; the last second factor stays."""
    passkey = get_object_or_404(Passkey, pk=pk, user=_owner(request))
    if request.method == "POST":
        if factors.remove(_owner(request), passkey):
            messages.success(request, _("The passkey is removed. Nobody can sign in with it any more."))
        else:
            messages.error(request, factors.LAST)
        return redirect("portal:account")
    return render(request, "portal/passkey_remove.html", {"passkey": passkey})
