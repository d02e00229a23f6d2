"""How long a sign-in lasts: 30 minutes without activity, eight hours in all, and the reason when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

IDLE_S = 30 * 60
ABSOLUTE_S = 8 * 3600
NOTED_EVERY_S = 60  # a row written at each click would be a write per page
STARTED, SEEN, ENDED = "signed_in_at", "seen_at", "signed_out_because"


@receiver(user_logged_in)
def start(request: HttpRequest, **_: Any) -> None:
    """Start both clocks: somebody has just signed in, by whatever door."""
    request.session[STARTED] = request.session[SEEN] = int(time.time())


def ended(request: HttpRequest) -> str:
    """Why the sign-in in this session is over: "idle", "absolute", or "" while it holds."""
    now = time.time()
    if now - request.session.get(STARTED, 0) >= ABSOLUTE_S:
        return "absolute"
    return "idle" if now - request.session.get(SEEN, 0) >= IDLE_S else ""


def take_reason(request: HttpRequest) -> str:
    """The reason why this browser was signed out, told once."""
    return str(request.session.pop(ENDED, "")) if settings.SESSION_COOKIE_NAME in request.COOKIES else ""


class SessionClockMiddleware:
    """Signs out who has been idle, or signed in, for too long."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and SESSION_KEY in request.session:
            self._look_at_the_clock(request)
        return self.get_response(request)

    def _look_at_the_clock(self, request: HttpRequest) -> None:
        if why := ended(request):
            logout(request)
            request.session[ENDED] = why
        elif time.time() - request.session[SEEN] >= NOTED_EVERY_S:
            request.session[SEEN] = int(time.time())
