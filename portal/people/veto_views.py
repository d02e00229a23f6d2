"""The page on which whoever was told of a change undoes it: one number, one button, no account."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal import vetoes
from portal.answers import too_many
from portal.limits import TooMany, shield
from portal.network import address_block, client_address
from portal.people.forms import VetoForm

NO_SUCH = _("Nothing can be undone by this number: a sign is wrong, it was used, or 72 hours are over.")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def veto(request: HttpRequest) -> HttpResponse:
    """Ask for the number, which a link brings along behind its hash, and undo the change."""
    form = VetoForm(request.POST if request.method == "POST" else None)
    if request.method != "POST":
        return render(request, "portal/veto.html", {"form": form})
    taken = shield("veto", address_block(client_address(request)))
    if not taken.ok:
        return too_many(request, taken.resets_in)
    try:
        if form.is_valid() and vetoes.veto(form.cleaned_data["number"]):
            return render(request, "portal/vetoed.html")
    except TooMany as error:
        return too_many(request, error.resets_in)
    if not form.errors:
        form.add_error("number", ValidationError(NO_SUCH, code="unknown"))
    return render(request, "portal/veto.html", {"form": form})
