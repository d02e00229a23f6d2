"""The pages for “this wasn't me” from any notice: its number, a code, and what was stopped."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import get_language, gettext_lazy
from django.views.decorators.cache import never_cache

from portal import challenges
from portal.answers import wrong_code
from portal.forms import CodeForm
from portal.network import address_block, client_address
from recovery import objecting
from recovery.access import shielded
from recovery.forms import ObjectionForm
from recovery.models import Objection
from recovery.not_me import frozen_until
from recovery.pages import page, page_methods, posted

SAID = "objection"
OVER = gettext_lazy("This code can no longer be used. Please start again.")
WITH = ("challenge", "merchant", "recovery__terminal__store", "recovery__signed_in_user", "change")


@page_methods
@never_cache
@shielded("not-me")
def number(request: HttpRequest) -> HttpResponse:
    """Ask for the number of the notice and where it came. The answer is the same for everybody."""
    form = ObjectionForm(posted(request))
    if request.method == "POST" and form.is_valid():
        kind, to = form.cleaned_data["to"]
        block, locale = address_block(client_address(request)), get_language() or "zh-hans"
        said = objecting.start(form.cleaned_data["number"], kind, to, locale, block)
        request.session[SAID] = said.pk
        return redirect("recovery:not_me_code")
    return page(request, "not_me_number", None, form=form)


@page_methods
@never_cache
@shielded("code")
def code(request: HttpRequest) -> HttpResponse:
    """Ask for the code; once it was right, say what was stopped and until when."""
    said = Objection.objects.select_related(*WITH).filter(pk=request.session.get(SAID, "")).first()
    if said is None:
        return redirect("recovery:not_me_number")
    form = CodeForm(posted(request))
    if said.proved_at is None and request.method == "POST" and form.is_valid():
        outcome = objecting.prove(said, form.cleaned_data["code"])
        if outcome.ok:
            return redirect("recovery:not_me_code")
        form.add_error("code", wrong_code(outcome.tries_left) if outcome.tries_left else OVER)
        said.challenge.refresh_from_db()
    if said.proved_at is not None:
        return page(request, "not_me_done", None, said=said, until=frozen_until(said.merchant))
    dead = challenges.tries_left(said.challenge) == 0
    return page(request, "not_me_code", None, form=form, said=said, dead=dead)
