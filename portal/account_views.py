"""Doors of an owner's account: how and where one is signed in, and proving it again before that changes."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import factors, known_browsers, passkey_views, sessions, stepup
from portal.accounts import owner_required, owner_signed_in
from portal.devices import TOTPDevice
from portal.forms import CodeForm, local_path
from portal.models import Passkey, User
from portal.stepup import proof_required, proof_to_enrol
from portal.views import WORDS


def _owner(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


@require_safe
@never_cache
@owner_required
def account(request: HttpRequest) -> HttpResponse:
    """What one signs in with, where one is signed in, and which browsers are known."""
    owner = _owner(request)
    assert owner.merchant is not None
    app = TOTPDevice.objects.filter(user=owner, confirmed=True).first()
    context = {
        "passkeys": Passkey.objects.filter(user=owner),
        "app": app,
        "app_used_at": app.used_at if app else None,
        "sessions": sessions.of(owner),
        "here": sessions.row_of(request),
        "browsers": known_browsers.of(owner.merchant).select_related("user"),
    }
    return render(request, "portal/account.html", context)


@require_POST
@owner_required
def sessions_end(request: HttpRequest, row: str = "") -> HttpResponse:
    """Sign out of one browser, or of all others."""
    here = sessions.row_of(request)
    ended = sessions.end(_owner(request), row=row, but=here)
    if row == here:
        return redirect("portal:signed_out")
    told = ngettext("Signed out of %(n)s browser.", "Signed out of %(n)s browsers.", ended) % {"n": ended}
    messages.success(request, told)
    return redirect("portal:account")


@require_POST
@owner_required
def browser_forget(request: HttpRequest, pk: int) -> HttpResponse:
    """Know a browser of the shop no more."""
    owner = _owner(request)
    assert owner.merchant is not None
    if not known_browsers.forget(owner.merchant, pk, f"user:{owner.pk}"):
        raise Http404
    messages.success(request, _("That browser is a stranger from now on."))
    return redirect("portal:account")


@require_safe
@never_cache
@owner_signed_in
def secure(request: HttpRequest) -> HttpResponse:
    """Before anything else: a second factor that is not a text."""
    if factors.has_strong(_owner(request)):
        return redirect("portal:account")
    return render(request, "portal/secure.html", passkey_views.facts(request))


# ── proving it again ────────────────────────────────────────────────────────────────────────────────────────


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@owner_signed_in
def confirm(request: HttpRequest) -> HttpResponse:
    """The sudo page: a code of the app, or a passkey. Who has neither signs in again."""
    owner = _owner(request)
    wanted = local_path(request.GET.get(REDIRECT_FIELD_NAME, ""))
    if not factors.has_strong(owner):
        return redirect_to_login(wanted or reverse("portal:secure"))
    app = TOTPDevice.objects.filter(user=owner, confirmed=True).first()
    form = CodeForm(request.POST or None)
    if app and request.method == "POST" and form.is_valid() and _judged(form, app):
        stepup.prove(request, app)
        return redirect(wanted or "portal:account")
    context = {
        "form": form,
        "app": app,
        "next": wanted,
        "passkeys": Passkey.objects.filter(user=owner).exists(),
        **passkey_views.facts(request),
    }
    return render(request, "portal/confirm.html", context)


def _judged(form: CodeForm, app: TOTPDevice) -> bool:
    outcome = app.judge(form.cleaned_data["code"])
    if not outcome.ok:
        form.add_error("code", ValidationError(WORDS[outcome.reason], code=outcome.reason))
    return outcome.ok


# ── the authenticator app ───────────────────────────────────────────────────────────────────────────────────


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@proof_to_enrol
def app_new(request: HttpRequest) -> HttpResponse:
    """Show a seed, and take it once a code of it was typed."""
    owner = _owner(request)
    app = factors.app_to_enrol(owner)
    form = CodeForm(request.POST or None)
    if (
        request.method == "POST"
        and form.is_valid()
        and _judged(form, app)
        and factors.confirm_app(owner, app)
    ):
        messages.success(
            request, _("The authenticator app is set up. You are asked for its code from now on.")
        )
        return redirect("portal:account")
    context: dict[str, Any] = {
        "form": form,
        "uri": app.enrolment_uri(),
        "groups": [app.seed[at : at + 4] for at in range(0, len(app.seed), 4)],
        "replaces": TOTPDevice.objects.filter(user=owner, confirmed=True).exists(),
    }
    return render(request, "portal/app_new.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@proof_required
def app_remove(request: HttpRequest) -> HttpResponse:
    """Ask first, then forget the app; the last second factor stays."""
    app = get_object_or_404(TOTPDevice, user=_owner(request), confirmed=True)
    if request.method == "POST":
        if factors.remove(_owner(request), app):
            messages.success(request, _("The authenticator app is removed."))
        else:
            messages.error(request, factors.LAST)
        return redirect("portal:account")
    return render(request, "portal/app_remove.html")
