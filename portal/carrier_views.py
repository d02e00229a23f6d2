"""Pages of the support desk about those who carry messages: how they do, and a message to try one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from portal.admin_site import change_address
from portal.forms import TrialForm
from portal.limits import TooMany
from portal.messaging.standing import DAY, HOUR, standings
from portal.messaging.trying import send_test
from portal.models import Message


def page(request: HttpRequest, site: AdminSite, name: str, title: Any, **context: Any) -> HttpResponse:
    """A page of ours within the admin's frame."""
    frame = {**site.each_context(request), "opts": Message._meta, "title": title}
    return render(request, f"admin/portal/message/{name}.html", {**frame, **context})


def may_try(request: HttpRequest) -> bool:
    """Whether this person may send a message to any number they like."""
    return bool(getattr(request.user, "is_superuser", False))


@require_safe
def carriers(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """What each gateway was handed in the last hour and day, and what became of it."""
    if not request.user.has_perm("portal.view_message"):
        raise PermissionDenied
    now = timezone.now()
    spans = [(_("The last hour"), standings(now, HOUR)), (_("The last day"), standings(now, DAY))]
    return page(request, site, "carriers", _("Carriers"), spans=spans, may_try=may_try(request))


@require_http_methods(["GET", "HEAD", "POST"])
def try_one(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Send a message to a number that is typed here; the row that comes of it tells what became of it."""
    if not may_try(request):
        raise PermissionDenied
    form = TrialForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        channel, gateway = form.cleaned_data["way"].split(":")
        by = f"user:{request.user.pk}"
        try:
            message = send_test(form.address, channel, gateway, get_language() or "zh-hans", by)
        except TooMany:
            form.add_error(None, gettext("You have sent as many today as one person may."))
        else:
            messages.success(request, gettext("It is on its way. This page shows what became of it."))
            return HttpResponseRedirect(change_address(message))
    return page(request, site, "try", _("Try a gateway"), form=form)
