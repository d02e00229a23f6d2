"""The pages of a recovery that was started at a terminal: its code, the phone, and the match number."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from recovery import access, presence
from recovery.access import at, shielded
from recovery.authority import operator_of
from recovery.forms import MatchForm, PhoneForm, UserCodeForm
from recovery.models import Recovery
from recovery.pages import page, page_methods, posted
from recovery.views import asked_of, begin, go_on
from terminals import requests
from terminals.health import health

State = Recovery.State


@page_methods
@never_cache
@shielded("user-code")
def user_code(request: HttpRequest) -> HttpResponse:
    """Ask for the code on the screen, for those who cannot scan it. Every well-formed code leads on."""
    form = UserCodeForm(posted(request))
    if request.method == "POST" and form.is_valid():
        return redirect("recovery:phone", form.cleaned_data["code"])
    return page(request, "user_code", None, 1, form=form)


@page_methods
@never_cache
@shielded("user-code")
def phone(request: HttpRequest, code: str) -> HttpResponse:
    """Ask for the shop's phone. The page is the same for every code, and says nothing about any terminal."""
    plain = requests.read_user_code(code)
    if plain is None:
        return redirect("recovery:user_code")
    form = PhoneForm(posted(request))
    if request.method == "POST" and form.is_valid():
        digest = requests.digest_of(plain)
        asked = asked_of(request, form.cleaned_data["phone"], user_code_digest=digest)
        return begin(request, asked, form.cleaned_data["form"])
    return page(request, "phone", None, 1, form=form, user_code=f"{plain[:4]}-{plain[4:]}")


@page_methods
@shielded("code")
@at(State.PROVED, match_asked=True)
def match(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Ask whether the terminal is in front of the person, and for the number that only its screen shows."""
    form = MatchForm(posted(request))
    if request.method == "POST" and form.is_valid():
        matched = presence.confirm(recovery, form.cleaned_data["number"])
        recovery.refresh_from_db()
        if matched.ok:
            return go_on(recovery)
        if matched.tries_left == 0:
            return redirect("recovery:stopped")
        form.add_error("number", wrong(matched.tries_left))
    till = recovery.terminal
    assert till is not None
    context = {
        "form": form,
        "terminal": till,
        "health": health(till, timezone.now()),
        "operator": operator_of(recovery),
    }
    return page(request, "match", recovery, 3, **context)


def wrong(tries_left: int) -> str:
    """A number that is not on the screen, in words."""
    text = ngettext(
        "That is not the number on the screen. %(count)d try left.",
        "That is not the number on the screen. %(count)d tries left.",
        tries_left,
    )
    return text % {"count": tries_left}


@require_POST
@at(State.PROVED, match_asked=True)
def not_here(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """The terminal is not in front of the person: the journey is over, on the phone and on the screen."""
    presence.deny(recovery)
    return redirect("recovery:stopped")


@require_safe
@at(State.ABANDONED)
def stopped(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Say why a journey that was started at a terminal is over. Nothing was changed."""
    words = {
        presence.DENIED: (
            _("Stopped. Nothing was changed."),
            _("If somebody sent you the address or asked for a code, they may be at your terminal now."),
        ),
        presence.BURNED: (
            _("Three wrong numbers: this reset is over"),
            _("Nothing was changed. Start again at the terminal; its screen will show a new number."),
        ),
        presence.RAN_OUT: (
            _("The code on the terminal's screen has run out"),
            _("Nothing was changed. Start again at the terminal; a code is good for 10 minutes."),
        ),
    }
    if recovery.reason not in words:
        return redirect(access.page_of(recovery))
    title, lede = words[recovery.reason]
    denied = recovery.reason == presence.DENIED
    return page(request, "stopped", recovery, title=title, lede=lede, denied=denied)
