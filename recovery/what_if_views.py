"""The owner's page that says what is left when the phone, the till or both are gone, and what to add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal.accounts import owner_required
from portal.people.guard import merchant_of
from recovery.gates.floors import Method, Target
from recovery.proof_views import NAMES
from recovery.what_if import Left, Lost, what_if

TITLES: Mapping[Lost, str | Promise] = {
    Lost.PHONE: _("If the phone is gone"),
    Lost.TILL: _("If the till is gone"),
    Lost.BOTH: _("If both are gone"),
}
WHO: Mapping[Target, str | Promise] = {
    Target.OPERATOR: _("Ordinary operators, such as 01"),
    Target.SUPERVISOR: _("Supervisor 00"),
}
# Where each is added, and what the link says.
ADD: Mapping[Method, tuple[str, str | Promise]] = {
    Method.RECOVERY_CODE: ("portal:paper", _("Make a card with codes")),
    Method.EMAIL: ("portal:address_new", _("Add an e-mail address of yours")),
    Method.CONTACT: ("portal:address_new", _("Add a person who may help")),
    Method.SMS: ("portal:proofs", _("Confirm the registered phone")),
    Method.TOTP: ("portal:app_new", _("Set up an authenticator app")),
}


@require_safe
@never_cache
@owner_required
def page(request: HttpRequest) -> HttpResponse:
    """Three bad days, and what each leaves."""
    merchant = merchant_of(request)
    days = [{"title": TITLES[lost], "rows": [row(left) for left in what_if(merchant, lost)]} for lost in Lost]
    return render(request, "recovery/what_if.html", {"days": days})


def row(left: Left) -> dict[str, Any]:
    """One operator's line: the ways in words, or the links that would open one."""
    return {
        "who": WHO[left.target],
        "ways": [[NAMES[method][0] for method in methods] for methods in left.ways],
        "add": [{"view": ADD[method][0], "text": ADD[method][1]} for method in left.missing],
    }
