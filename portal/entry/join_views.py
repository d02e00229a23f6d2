"""Invited: the code of the invitation, the code of the registered phone, a name and a password."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from portal import known_browsers
from portal.accounts import BUSY_S, OWNERS, TooBusy, let_in
from portal.answers import busy
from portal.devices import SMSDevice
from portal.entry import invitations, proving, regaining
from portal.entry import sitting as sittings
from portal.entry.forms import AccountForm, InvitationForm
from portal.entry.pages import LATE, START, methods, page, posted, proved, shielded
from portal.entry.rules import Proof, Target
from portal.entry.sitting import Sitting, judge
from portal.models import User

NOT_GOOD = _("This code opens nothing: it was used or withdrawn, is over 7 days old, or was never given out.")


@methods
@shielded("entry")
def join(request: HttpRequest) -> HttpResponse:
    """Ask for the invitation. Unknown, used and old codes are one answer; a good one has the phone texted."""
    form = InvitationForm(posted(request))
    if request.method == "POST" and form.is_valid():
        invitation = invitations.find(form.cleaned_data["code"])
        if invitation is not None:
            sitting = sittings.begin(request, Target.JOIN, Proof.INVITATION, invitation=invitation)
            if Proof.TEXT in judge(sitting).open:
                proving.send_code(request, sitting, Proof.TEXT)
            return redirect("portal:join_code")
        form.add_error("code", ValidationError(NOT_GOOD, code="unknown"))
    return page(request, "join", form=form)


@methods
@shielded("code")
@proved
def account(request: HttpRequest, sitting: Sitting) -> HttpResponse:
    """Ask for name and password, make the account and sign it in; a second factor is what comes next."""
    invitation = sitting.invitation
    assert invitation is not None
    person = User(merchant=invitation.merchant, phone=invitation.merchant.phone)
    form = AccountForm(posted(request), person=person)
    if request.method == "POST" and form.is_valid():
        try:
            return _made(request, sitting, form)
        except invitations.NameTaken:
            taken = _("Somebody has this name already. Choose another one.")
            form.add_error("username", ValidationError(taken, code="taken"))
        except TooBusy:
            return busy(request, BUSY_S)
        except invitations.Over:
            messages.warning(request, LATE)
            return redirect(START[Target.JOIN])
    return page(request, "account", sitting, form=form, shop=invitation.merchant.legal_name)


def _made(request: HttpRequest, sitting: Sitting, form: AccountForm) -> HttpResponse:
    """The account, signed in by the text that was typed a moment ago, and on its way to a second factor."""
    assert sitting.invitation is not None
    password_hash = regaining.hashed(form.cleaned_data["new_password"])
    user = invitations.accept(sitting.invitation, form.cleaned_data["username"], password_hash)
    request.session.flush()
    let_in(request, OWNERS, SMSDevice.objects.get(user=user))
    response = redirect("portal:secure")
    known_browsers.note_sign_in(request, response, user)
    return response
