"""Which browser may see which page of which recovery."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from portal import known_browsers
from portal.answers import too_many
from portal.limits import shield
from portal.network import address_block, client_address
from recovery import presence, steps
from recovery.binding import digest_of
from recovery.doubts import of_texts
from recovery.models import Recovery
from recovery.unlocking import ANSWERED, may_unlock
from terminals import requests

State = Recovery.State
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]
StepView = Callable[Concatenate[HttpRequest, Recovery, P], HttpResponse]
PEOPLE = ("challenge", "merchant", "request", "terminal__store", "terminal__model", "command__terminal")


def recovery_of(request: HttpRequest) -> Recovery | None:
    """The recovery this browser's cookie belongs to, as long as it lives."""
    token = request.COOKIES.get(settings.RECOVERY_COOKIE_NAME, "")
    if not token:
        return None
    return (
        Recovery.objects.select_related(*PEOPLE)
        .filter(browser_digest=digest_of(token), expires_at__gt=timezone.now())
        .first()
    )


def remember(response: HttpResponse, token: str) -> None:
    """Give the browser its cookie: it opens this one recovery and nothing else."""
    response.set_cookie(
        settings.RECOVERY_COOKIE_NAME,
        token,
        max_age=steps.STATUS_LIFE,
        path="/",
        secure=settings.SECURE,
        httponly=True,
        samesite="Lax",
    )


def know_again(request: HttpRequest, response: HttpResponse, recovery: Recovery) -> None:
    """Know this browser for the shop it has just proved to be of, unless the proof is in doubt."""
    proved = recovery.phone or recovery.email
    if recovery.merchant is not None and proved and not of_texts(recovery):
        known_browsers.remember(request, response, recovery.merchant, proved)


def forget(response: HttpResponse) -> None:
    """Take the cookie back."""
    response.delete_cookie(settings.RECOVERY_COOKIE_NAME, path="/", samesite="Lax")


def page_of(recovery: Recovery) -> str:
    """The URL name of the page a recovery stands at."""
    if recovery.command_id is not None:
        return "recovery:status"
    if presence.is_asked(recovery):
        return "recovery:match"
    if recovery.reason in presence.STOPPED:
        return "recovery:stopped"
    unlock = recovery.offline and may_unlock(recovery, timezone.now())
    pages = {
        State.STARTED: "recovery:code",
        State.PROVING: "recovery:code",
        State.PROVED: "recovery:operator" if recovery.terminal_id else "recovery:terminal",
        State.SETTING: "recovery:offline" if unlock else "recovery:password",
        State.DONE: "recovery:offline" if recovery.reason == ANSWERED else "recovery:remembered",
    }
    return pages.get(State(recovery.state), "recovery:expired")


def expired(request: HttpRequest) -> HttpResponse:
    """There is no such step for this browser, or not any more."""
    response = render(request, "recovery/expired.html", status=410)
    forget(response)
    return response


def at(*states: Recovery.State, match_asked: bool = False) -> Callable[[StepView[P]], View[P]]:
    """Open a page only to the browser of a recovery in one of these states; send others where they stand.

    While the match number is asked, that is where a recovery stands, whatever its state.
    """

    def decorate(view: StepView[P]) -> View[P]:
        @never_cache
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            recovery = recovery_of(request)
            if recovery is None:
                return expired(request)
            if recovery.state not in states or presence.is_asked(recovery) != match_asked:
                return redirect(page_of(recovery))
            try:
                return view(request, recovery, *args, **kwargs)
            except steps.OutOfStep:
                # Another tab or another click of this browser was first; the row says where it led.
                recovery.refresh_from_db()
                return redirect(page_of(recovery))

        return guarded

    return decorate


def shielded(name: str) -> Callable[[View[P]], View[P]]:
    """Count POSTs of an address block against a coarse shield; beyond it they get a page with the time.

    A browser that proved itself before, and whoever comes from a terminal's screen, have a share of their own
    when others of the block have used up the common one.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if request.method == "POST":
                taken = shield(name, address_block(client_address(request)))
                if not taken.ok and (own := own_share(request, str(kwargs.get("code", "")))):
                    taken = shield(name, own)
                if not taken.ok:
                    return too_many(request, taken.resets_in)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def own_share(request: HttpRequest, in_address: str) -> str:
    """The name of this caller's own share of a shield; empty for those who have proved nothing.

    A code of a screen that is still good is as good as its terminal: that it is one tells nothing more than
    that some terminal asks, and there are 2.56 · 10¹⁰ of them.
    """
    if token := known_browsers.token_of(request):
        return f"known:{token}"
    plain = requests.read_user_code(in_address or request.POST.get("code", ""))
    digest = requests.digest_of(plain) if plain else ""
    if not digest and (recovery := recovery_of(request)) is not None:
        digest = recovery.user_code_digest
    return f"screen:{digest}" if digest and requests.is_shown(digest) else ""
