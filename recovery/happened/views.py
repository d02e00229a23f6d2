"""The owner's page about everything that happened to the shop."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal.accounts import owner_required
from portal.audit_chain import heads
from portal.people.guard import merchant_of, owner_of
from recovery.happened.story import BEYOND, story_of
from recovery.happened.words import Topic

ID_DIGITS = 18


@require_safe
@never_cache
@owner_required
def happened(request: HttpRequest) -> HttpResponse:
    """One page of it, under one heading or all; what is no heading and no id is not minded."""
    topic = next((each for each in Topic if each == request.GET.get("about")), None)
    head = heads.newest()
    context = {
        "story": story_of(merchant_of(request), owner_of(request), topic, _before(request)),
        "topic": topic,
        "topics": list(Topic),
        "later": "before" in request.GET,
        "sealed_at": parse_datetime(head.signed_at) if head else None,
    }
    return render(request, "recovery/happened.html", context)


def _before(request: HttpRequest) -> int:
    text = request.GET.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= ID_DIGITS else BEYOND
