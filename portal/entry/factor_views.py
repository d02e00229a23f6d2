"""The second factor is lost: the password, the registered phone, one more proof, and a device less."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal import accounts, factors
from portal.accounts import BUSY_S, OWNERS, TooBusy, WrongPassword
from portal.answers import busy
from portal.devices import TOTPDevice
from portal.entry import regaining
from portal.entry import sitting as sittings
from portal.entry.pages import PROVE, methods, page, posted, proved, shielded
from portal.entry.rules import Proof, Target
from portal.entry.sitting import Sitting
from portal.forms import SignInForm
from portal.models import Passkey, User

NOTHING_LOST = _("This account has no second factor but the phone: just sign in, and a text is sent.")


@methods
@shielded("sign-in")
def lost(request: HttpRequest) -> HttpResponse:
    """Ask for the password; whoever has just given it at the sign-in need not do it again."""
    waiting = accounts.pending(request, OWNERS)
    if waiting is not None and request.method != "POST":
        return _begun(request, waiting.user)
    form = SignInForm(posted(request))
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            device = accounts.factor_behind(request, OWNERS, typed["username"], typed["password"])
            return _begun(request, device.user)
        except WrongPassword:
            wrong = _("User name and password do not belong together.")
            form.add_error(None, ValidationError(wrong, code="wrong"))
        except TooBusy:
            return busy(request, BUSY_S)
    return page(request, "lost", form=form)


def _begun(request: HttpRequest, user: User) -> HttpResponse:
    if not factors.has_strong(user):
        messages.info(request, NOTHING_LOST)
        return redirect(OWNERS.page)
    sittings.begin(request, Target.FACTOR, Proof.PASSWORD, user=user, name=user.get_username())
    return redirect(PROVE[Target.FACTOR])


@methods
@shielded("code")
@proved
def remove(request: HttpRequest, sitting: Sitting) -> HttpResponse:
    """Say what goes, and what comes next; then forget it. Nobody is signed in by it."""
    if request.method == "POST":
        done = regaining.remove_factors(sitting)
        request.session.flush()
        return redirect("portal:factor_done" if done else "portal:factor_lost")
    context = {
        "app": TOTPDevice.objects.filter(user=sitting.user, confirmed=True).exists(),
        "passkeys": Passkey.objects.filter(user=sitting.user),
    }
    return page(request, "remove", sitting, **context)


@require_safe
@never_cache
def done(request: HttpRequest) -> HttpResponse:
    """The device is forgotten; sign in, and set up a new one."""
    return page(request, "factor_done")
