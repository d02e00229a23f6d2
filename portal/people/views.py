"""The page from which an owner sees every way of proving who they are."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal import recovery_codes
from portal.accounts import owner_required
from portal.people.guard import merchant_of


@require_safe
@never_cache
@owner_required
def proofs(request: HttpRequest) -> HttpResponse:
    """What there is, what is missing, and where to change it."""
    merchant = merchant_of(request)
    context = {
        "merchant": merchant,
        "sheet": recovery_codes.sheet_of(merchant),
        "few": recovery_codes.FEW,
    }
    return render(request, "portal/proofs.html", context)
