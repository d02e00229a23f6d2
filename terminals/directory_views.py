"""Whom to call, for everybody: find a number, ask whether one is known, print it for the till."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from portal.answers import too_many
from portal.limits import shield
from portal.network import address_block, client_address
from terminals.directory import entries
from terminals.directory.forms import FindForm, NumberForm

View = Callable[[HttpRequest], HttpResponse]


def shielded(view: View) -> View:
    """Count questions of an address block: the directory is for looking up, not for copying."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if request.method == "POST":
            taken = shield("directory", address_block(client_address(request)))
            if not taken.ok:
                return too_many(request, taken.resets_in)
        return view(request)

    return require_http_methods(["GET", "HEAD", "POST"])(never_cache(guarded))


@shielded
def directory(request: HttpRequest) -> HttpResponse:
    """Both questions; what is typed travels in the body, so that no address or log holds it."""
    form = FindForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"form": form, "number_form": NumberForm(), "now": timezone.now()}
    if request.method == "POST" and form.is_valid():
        context |= {"asked": True, "entries": entries.find(form.cleaned_data["what"])}
    return render(request, "terminals/directory/find.html", context)


@shielded
def number(request: HttpRequest) -> HttpResponse:
    """Whether a number is in the directory; it never says that a caller is genuine."""
    form = NumberForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"form": form, "now": timezone.now()}
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data["number"]
        context |= {"verdict": entries.judge(typed), "typed": typed, "form": NumberForm()}
    return render(request, "terminals/directory/number.html", context)


@require_safe
@never_cache
def sticker(request: HttpRequest, pk: int) -> HttpResponse:
    """A7 for the till, with numbers that were confirmed lately and no others."""
    now = timezone.now()
    entry = get_object_or_404(entries.listed(), pk=pk, valid_until__gt=now)
    numbers = [number for number in entry.confirmed if not number.is_due(now)]
    if not numbers:
        raise Http404
    context = {
        "entry": entry,
        "numbers": numbers[:2],
        "until": min(entry.valid_until, *(number.valid_until for number in numbers)),
        "origin": settings.REKEY_ORIGIN,
        "host": settings.REKEY_ORIGIN.partition("//")[2],
    }
    return render(request, "terminals/directory/sticker.html", context)
