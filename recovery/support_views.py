"""The way out that every page has: tell support, and be called back."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from portal.accounts import OWNERS, is_verified
from portal.models import Merchant, User
from portal.secrets import mask_phone
from recovery.access import page_of, recovery_of, shielded
from recovery.desk import tickets, words
from recovery.forms import SupportForm
from recovery.models import Recovery
from recovery.status import facts_of

SHOWN = "support-ticket"
State = Recovery.State


def step_of(recovery: Recovery | None) -> tuple[str, str]:
    """Where somebody stands: the key that a ticket keeps, and the words for it."""
    if recovery is None:
        return "", ""
    steps = {
        State.STARTED: ("code", _("Waiting for the code")),
        State.PROVING: ("code", _("Waiting for the code")),
        State.PROVED: ("choose", _("Choosing terminal and operator")),
        State.SETTING: ("password", _("Setting the password")),
        State.DISPATCHED: ("waiting", _("Waiting for the terminal")),
        State.FAILED: ("refused", _("The terminal did not take it")),
        State.DONE: ("done", _("After the reset")),
    }
    return steps.get(State(recovery.state), ("over", _("After the journey was over")))


def owned_by(request: HttpRequest) -> Merchant | None:
    """The shop of the owner who is signed in, with the second factor, if one is."""
    user = request.user
    return user.merchant if isinstance(user, User) and is_verified(user) and OWNERS.admits(user) else None


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@shielded("support")
def support(request: HttpRequest) -> HttpResponse:
    """Take down what happened and whom to call; the step is filled in from the recovery, if there is one."""
    recovery = recovery_of(request)
    step, stands = step_of(recovery)
    shop = None if recovery else owned_by(request)
    known = recovery or shop
    known_phone = known.phone if known is not None else ""
    form = SupportForm(request.POST if request.method == "POST" else None, known_phone=known_phone)
    if request.method == "POST" and form.is_valid():
        subject = stands or _("Question")
        said = form.cleaned_data
        trouble = tickets.Trouble(step, subject, said["phone"], said["text"], shop)
        try:
            ticket = tickets.open_ticket(trouble, recovery)
        except tickets.TooManyTickets:
            form.add_error(None, _("Three cases are open for this phone already. We will call."))
        else:
            request.session[SHOWN] = {"number": ticket.number, "phone": ticket.masked_phone}
            return redirect("recovery:support_sent")
    context = {
        "form": form,
        "step": stands,
        "masked_phone": mask_phone(known_phone),
        "number": recovery.number if recovery else "",
        "goes_along": facts_of(recovery) if recovery else [],
        "back": page_of(recovery) if recovery else "",
    }
    return render(request, "recovery/support.html", context)


@require_safe
@never_cache
def support_sent(request: HttpRequest) -> HttpResponse:
    """The ticket's number, to keep. It is known to this browser only."""
    shown = request.session.get(SHOWN)
    if shown is None:
        return redirect("recovery:support")
    number = shown["number"]
    context = {"ticket": number, "masked_phone": shown["phone"], "words": words.of_ticket(number)}
    return render(request, "recovery/support_sent.html", context)
