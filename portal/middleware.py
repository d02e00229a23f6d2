"""Headers that every answer carries, and the few facts that every page shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest

PERMISSIONS = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), otp-credentials=(self)"


class GuardHeadersMiddleware:
    """Nothing of ours is kept by caches, and no page gets at cameras or places."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if names_odd_charset(request):
            return HttpResponseBadRequest("UTF-8 only", content_type="text/plain; charset=utf-8")
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        return response


def names_odd_charset(request: HttpRequest) -> bool:
    """Whether a body claims not to be UTF-8: Django would decode a multipart form with any codec."""
    named = (request.content_params or {}).get("charset", "utf-8")
    return named.strip("\"'").lower() not in ("utf-8", "utf8", "us-ascii")


def page_facts(request: HttpRequest) -> dict[str, Any]:
    """The hotline and whether this is the demo, for the frame around every page."""
    return {"hotline": settings.REKEY_HOTLINE, "demo": settings.REKEY_DEMO}
