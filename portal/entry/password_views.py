"""The password is forgotten: the name, the second factor, one more proof, and another password."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from portal import passkey_views
from portal.accounts import BUSY_S, TooBusy
from portal.answers import busy
from portal.entry import proving, regaining
from portal.entry import sitting as sittings
from portal.entry.forms import AccountNameForm, NewPasswordForm
from portal.entry.pages import PROVE, at, methods, onward, page, posted, proved, shielded
from portal.entry.rules import NEEDS, Target
from portal.entry.sitting import Sitting
from portal.forms import CodeForm, PasskeyForm
from portal.models import User
from portal.views import WORDS


@methods
@shielded("entry")
def forgotten(request: HttpRequest) -> HttpResponse:
    """Ask whose account it is. Nothing is sent, and the next page is the same for names that nobody has."""
    form = AccountNameForm(posted(request))
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["username"]
        user = User.objects.select_related("merchant").filter(username=name).first()
        sittings.begin(request, Target.PASSWORD, user=user, name=name)
        return redirect("portal:password_factor")
    return page(request, "forgotten", form=form)


@methods
@shielded("code")
@at
def factor(request: HttpRequest, sitting: Sitting) -> HttpResponse:
    """The second factor comes first, so that strangers have nobody texted and learn nothing."""
    if NEEDS[Target.PASSWORD][0] & sitting.given:
        return redirect(PROVE[Target.PASSWORD])
    form = CodeForm(posted(request))
    if request.method == "POST" and form.is_valid():
        outcome = proving.check_app(request, sitting, form.cleaned_data["code"])
        if outcome.ok:
            return onward(sitting)
        form.add_error("code", ValidationError(WORDS[outcome.reason], code=outcome.reason))
    return page(request, "factor", sitting, form=form, **passkey_views.facts(request))


@require_POST
@shielded("code")
@at
def passkey_options(request: HttpRequest, sitting: Sitting) -> HttpResponse:
    """A challenge for whatever passkey is picked."""
    return passkey_views.options(proving.passkey_options(sitting))


@require_POST
@shielded("code")
@at
def passkey(request: HttpRequest, sitting: Sitting) -> HttpResponse:
    """A passkey of this account, instead of the app's code."""
    asked = PasskeyForm(request.POST)
    if asked.is_valid() and proving.check_passkey(request, sitting, asked.cleaned_data["response"]):
        return onward(sitting)
    form = CodeForm(None)
    context = {"form": form, "trouble": passkey_views.NOT_PROVED, **passkey_views.facts(request)}
    return page(request, "factor", sitting, **context)


@methods
@shielded("code")
@proved
def new(request: HttpRequest, sitting: Sitting) -> HttpResponse:
    """Ask for the new password. Nobody is signed in by it."""
    assert sitting.user is not None
    form = NewPasswordForm(posted(request), person=sitting.user)
    if request.method == "POST" and form.is_valid():
        try:
            password_hash = regaining.hashed(form.cleaned_data["new_password"])
        except TooBusy:
            return busy(request, BUSY_S)
        done = regaining.set_password(sitting, password_hash)
        request.session.flush()
        return redirect("portal:password_done" if done else "portal:password_forgotten")
    return page(request, "new_password", sitting, form=form, who=sitting.user.get_username())


@require_safe
@never_cache
def done(request: HttpRequest) -> HttpResponse:
    """The password is set; sign in with it."""
    return page(request, "password_done")
