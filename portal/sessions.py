"""How long a sign-in lasts, 30 minutes without activity and eight hours in all, and how its owner ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in
from django.db.models import QuerySet
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from portal.audit import Tag, record
from portal.browsers import name_of
from portal.models import BrowserSession, User
from portal.network import address_block, client_address
from portal.session_store import BLOCK, BROWSER, SEEN, STARTED, row_key

IDLE_S = 30 * 60
ABSOLUTE_S = 8 * 3600
NOTED_EVERY_S = 60  # a row written at each click would be a write per page
ENDED = "signed_out_because"


@receiver(user_logged_in)
def start(request: HttpRequest, **_: Any) -> None:
    """Start both clocks: somebody has just signed in, by whatever door; and note where."""
    request.session[STARTED] = request.session[SEEN] = int(time.time())
    request.session[BROWSER] = name_of(request.headers.get("User-Agent", ""))
    request.session[BLOCK] = address_block(client_address(request))


def ended(request: HttpRequest) -> str:
    """Why the sign-in in this session is over: "idle", "absolute", or "" while it holds."""
    now = time.time()
    if now - request.session.get(STARTED, 0) >= ABSOLUTE_S:
        return "absolute"
    return "idle" if now - request.session.get(SEEN, 0) >= IDLE_S else ""


def take_reason(request: HttpRequest) -> str:
    """The reason why this browser was signed out, told once."""
    return str(request.session.pop(ENDED, "")) if settings.SESSION_COOKIE_NAME in request.COOKIES else ""


def of(user: User) -> QuerySet[BrowserSession]:
    """The browsers in which this person is signed in, the latest first."""
    now = timezone.now()
    awake = BrowserSession.objects.filter(user=user, seen_at__gt=now - timedelta(seconds=IDLE_S))
    alive = awake.filter(expire_date__gt=now, started_at__gt=now - timedelta(seconds=ABSOLUTE_S))
    return alive.order_by("-seen_at")


def row_of(request: HttpRequest) -> str:
    """Which of them this browser's is."""
    return row_key(request.session.session_key or "")


def end(user: User, *, row: str = "", but: str = "") -> int:
    """Sign this person out of one browser, or of all `but` one; how many it were."""
    mine = BrowserSession.objects.filter(user=user)
    mine = mine.filter(session_key=row) if row else mine.exclude(session_key=but)
    ended = mine.delete()[0]
    if ended:
        record(Tag.SESSIONS_ENDED, actor=f"user:{user.pk}", merchant=user.merchant, count=ended)
    return ended


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
