"""Answers that more than one door gives: wait so long, come back soon, that code is not right."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import ngettext


def too_many(request: HttpRequest, seconds: int) -> HttpResponse:
    """429: the page that says how long to wait, and why."""
    until = timezone.now() + timedelta(seconds=seconds)
    # The page tells whole minutes; a minute too early would be one more refusal.
    told = until if until == until.replace(second=0, microsecond=0) else until + timedelta(minutes=1)
    context = {"minutes": max(1, -(-seconds // 60)), "until": told}
    response = render(request, "429.html", context, status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def busy(request: HttpRequest, seconds: int) -> HttpResponse:
    """503: too many at once; nothing was tried."""
    response = render(request, "503.html", {"seconds": seconds}, status=503)
    response.headers["Retry-After"] = str(seconds)
    return response


def wrong_code(tries_left: int) -> str:
    """That a typed code was not right, and how many may still be typed."""
    return ngettext(
        "That code is not right. %(count)d try left.",
        "That code is not right. %(count)d tries left.",
        tries_left,
    ) % {"count": tries_left}
