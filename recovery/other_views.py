"""Beginning without the registered phone: a code to a mailbox, or a passkey. All ways are offered to all."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from portal import passkey_views, passkeys
from portal.forms import PasskeyForm
from portal.messaging import carriers
from portal.models import Channel
from recovery import flow
from recovery.access import remember, shielded
from recovery.binding import new_token
from recovery.forms import MailboxForm
from recovery.pages import page, page_methods, posted
from recovery.views import asked_of, begin, go_on, typed_before

PURPOSE = "recovery-start"
NOT_BEGUN = _("That passkey could not be used. Try again, or prove it in another way.")


@page_methods
@never_cache
@shielded("identify")
def other(request: HttpRequest) -> HttpResponse:
    """Ask which shop and which mailbox, or for a passkey. The answer is the same for everybody."""
    form = MailboxForm(posted(request), initial=typed_before(request))
    if request.method == "POST" and form.is_valid():
        asked = asked_of(request, "", email=form.cleaned_data["email"], identifier=form.cleaned_data["shop"])
        return begin(request, asked, form.cleaned_data["form"])
    mails = carriers.is_offered(Channel.EMAIL)
    return page(request, "other", None, 1, form=form, mails=mails, **passkey_views.facts(request))


@require_POST
@never_cache
@shielded("code")
def passkey_options(request: HttpRequest) -> HttpResponse:
    """A challenge for whatever passkey the person picks; nothing is told about who has one."""
    return passkey_views.options(passkeys.assertion(PURPOSE, passkey_views.subject_of(request)))


@require_POST
@never_cache
@shielded("identify")
def passkey(request: HttpRequest) -> HttpResponse:
    """Begin with a passkey of an owner: it says who they are, so no number is asked."""
    form, token = PasskeyForm(request.POST), new_token()
    used = form.is_valid() and passkeys.verify(
        PURPOSE, passkey_views.subject_of(request), form.cleaned_data["response"]
    )
    recovery = flow.start_proved(asked_of(request, ""), used, token) if used else None
    if recovery is None:
        messages.error(request, NOT_BEGUN)
        return redirect("recovery:other")
    response = go_on(recovery)
    remember(response, token)
    return response
