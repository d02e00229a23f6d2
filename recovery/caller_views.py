"""The page for somebody who is on the phone with support: the two words, and the code that nobody is told."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from recovery.access import shielded
from recovery.desk import verification, words
from recovery.desk.verification_forms import CallerForm
from recovery.pages import page, page_methods, posted
from recovery.support_views import SHOWN

WRONG = _("That is not the code that went out last for this ticket, or it is over. Ask for another one.")


@page_methods
@never_cache
@shielded("caller")
def caller(request: HttpRequest) -> HttpResponse:
    """Take the code for a ticket. A ticket that is not there is answered like a code that is wrong."""
    known = request.session.get(SHOWN, {}).get("number", "")
    form = CallerForm(posted(request), initial={"ticket": known})
    done = False
    if request.method == "POST" and form.is_valid():
        number = form.cleaned_data["ticket"]
        done = verification.type_code(number, form.cleaned_data["code"])
        if done:
            known = number
        else:
            form.add_error("code", WRONG)
    return page(request, "caller", None, form=form, done=done, words=words.of_ticket(known) if known else "")
