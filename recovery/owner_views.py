"""A reset started by an owner who is signed in: nothing to identify, but the code is still needed."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.accounts import owner_required
from portal.models import User
from portal.network import address_block, client_address
from recovery import flow
from recovery.access import remember
from recovery.binding import new_token
from terminals.health import health
from terminals.models import Operator, Terminal
from terminals.offline import possible


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@owner_required
def start_signed_in(
    request: HttpRequest, pk: str, number: str = "", *, offline: bool = False
) -> HttpResponse:
    """Ask before a code is sent to the registered phone, then send it. Others' terminals are 404.

    `offline`: the terminal has no network, so its digits are asked at the end instead of a password.
    """
    owner = request.user
    assert isinstance(owner, User) and owner.merchant is not None
    merchant = owner.merchant
    mine = Terminal.objects.select_related("store").filter(store__merchant=merchant)
    till = get_object_or_404(mine, pk=pk)
    operator = get_object_or_404(Operator, terminal=till, number=number) if number else None
    if request.method == "POST" and merchant.phone:
        asked = flow.Asked(
            identifier=merchant.number,
            phone=merchant.phone,
            locale=get_language() or "zh-hans",
            block=address_block(client_address(request)),
            user=owner,
            terminal=till,
            operator_number=number,
            offline=offline,
        )
        token = new_token()
        flow.start(asked, token)
        response = redirect("recovery:code")
        remember(response, token)
        return response
    context = {
        "terminal": till,
        "operator": operator,
        "offline": offline,
        "can_unlock": possible(till),
        "health": health(till, timezone.now()),
        "masked_phone": merchant.masked_phone,
    }
    return render(request, "recovery/start_signed_in.html", context)
