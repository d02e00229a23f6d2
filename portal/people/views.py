"""The page from which an owner sees every way of proving who they are."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal import addresses, changes, recovery_codes
from portal.accounts import owner_required
from portal.models import Address
from portal.people.guard import merchant_of


@require_safe
@never_cache
@owner_required
def proofs(request: HttpRequest) -> HttpResponse:
    """What there is, what is missing, and where to change it."""
    merchant, now = merchant_of(request), timezone.now()
    ways = addresses.ways(merchant)
    context = {
        "merchant": merchant,
        "phone_due": addresses.is_due(merchant.phone_confirmed_at or merchant.created_at, now),
        "phone_held": addresses.is_held(merchant.phone_held_until, now),
        "own": [way for way in ways if way.holder == Address.Holder.OWNER],
        "contacts": [way for way in ways if way.holder == Address.Holder.CONTACT],
        "missing": max(0, addresses.WANTED - len(ways)),
        "standing": changes.standing(merchant),
        "sheet": recovery_codes.sheet_of(merchant),
        "few": recovery_codes.FEW,
    }
    return render(request, "portal/proofs.html", context)
