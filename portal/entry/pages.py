"""What the pages of all three doors share: who may open which, and where one goes after a proof."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.answers import too_many
from portal.entry import sitting as sittings
from portal.entry.rules import NEEDS, Target
from portal.entry.sitting import Sitting, judge
from portal.limits import TooMany, shield
from portal.network import address_block, client_address

View = Callable[..., HttpResponse]
methods = require_http_methods(["GET", "HEAD", "POST"])
START = {
    Target.JOIN: "portal:join",
    Target.PASSWORD: "portal:password_forgotten",
    Target.FACTOR: "portal:factor_lost",
}
# Where one goes while proofs are missing, and once they are enough.
PROVE = {
    Target.JOIN: "portal:join_code",
    Target.PASSWORD: "portal:password_prove",
    Target.FACTOR: "portal:factor_prove",
}
THEN = {
    Target.JOIN: "portal:join_account",
    Target.PASSWORD: "portal:password_new",
    Target.FACTOR: "portal:factor_remove",
}
LATE = _("That took too long, or something has changed since. Please begin again.")


def page(request: HttpRequest, name: str, sitting: Sitting | None = None, **context: Any) -> HttpResponse:
    """A page of a door."""
    return render(request, f"portal/entry/{name}.html", {"sitting": sitting, **context})


def posted(request: HttpRequest) -> Any:
    """The data a form is bound to: what was posted, or nothing on a look."""
    return request.POST if request.method == "POST" else None


def shielded(name: str) -> Callable[[View], View]:
    """Count POSTs of an address block against a coarse shield, and say when a limit is used up."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "POST":
                taken = shield(name, address_block(client_address(request)))
                if not taken.ok:
                    return too_many(request, taken.resets_in)
            try:
                return view(request, *args, **kwargs)
            except TooMany as error:
                return too_many(request, error.resets_in)

        return never_cache(guarded)

    return decorate


def at(view: View) -> View:
    """Open a page to a browser whose sitting is about its target; others begin at the door."""

    @wraps(view)
    def guarded(request: HttpRequest, target: Target, **kwargs: Any) -> HttpResponse:
        sitting = sittings.current(request, target)
        if sitting is None:
            messages.warning(request, LATE)
            return redirect(START[target])
        return view(request, sitting, **kwargs)

    return never_cache(guarded)


def begun(view: View) -> View:
    """The same, and the first proof of the door was given: before that nothing about the account is shown."""

    @wraps(view)
    def guarded(request: HttpRequest, sitting: Sitting, **kwargs: Any) -> HttpResponse:
        if not NEEDS[sitting.target][0] & sitting.given:
            return redirect("portal:password_factor")
        return view(request, sitting, **kwargs)

    return at(guarded)


def proved(view: View) -> View:
    """The same, and its proofs are enough; others go where they can give more."""

    @wraps(view)
    def guarded(request: HttpRequest, sitting: Sitting, **kwargs: Any) -> HttpResponse:
        if not judge(sitting).allowed:
            return redirect(PROVE[sitting.target])
        return view(request, sitting, **kwargs)

    return at(guarded)


def onward(sitting: Sitting) -> HttpResponse:
    """To the next page, after a proof."""
    allowed = judge(sitting).allowed
    return redirect((THEN if allowed else PROVE)[sitting.target])
