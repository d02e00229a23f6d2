"""Codes on paper: how many are left, and a new sheet, shown once."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal import recovery_codes
from portal.people.guard import actor_of, merchant_of
from portal.stepup import proof_required


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@proof_required
def paper(request: HttpRequest) -> HttpResponse:
    """Ask before a sheet is made; then show it, in the answer to the form and never again."""
    merchant = merchant_of(request)
    if request.method != "POST":
        context = {"sheet": recovery_codes.sheet_of(merchant), "codes": recovery_codes.CODES}
        return render(request, "portal/paper.html", context)
    codes = recovery_codes.make(merchant, actor_of(request))
    card = {
        "merchant": merchant,
        "codes": codes,
        "sheet": recovery_codes.sheet_of(merchant),
        "origin": settings.REKEY_ORIGIN,
        "made": timezone.localdate(),
    }
    return render(request, "portal/paper_sheet.html", card)
