"""Whether somebody signed in has proved it lately: what changes a proof asks for a fresh one (sudo)."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from portal.accounts import owner_required, owner_signed_in
from portal.audit import Tag, record
from portal.devices import TOTPDevice
from portal.models import Passkey, User

WINDOW_S = 600
PROVED = "proved_at"
PURPOSE = "step-up"


@receiver(user_logged_in)
def start(request: HttpRequest, **_: Any) -> None:
    """Signing in takes a password and a second factor, or a passkey: the window opens with it."""
    request.session[PROVED] = int(time.time())


def proved_at(request: HttpRequest) -> int:
    """When the person in front of this browser last proved it, in Unix seconds; 0 for never."""
    return int(request.session.get(PROVED, 0))


def is_fresh(moment: int) -> bool:
    """Whether a proof of that moment, in Unix seconds, is within the last ten minutes."""
    return 0 <= time.time() - moment < WINDOW_S


def is_recent(request: HttpRequest) -> bool:
    """Whether the person in front of this browser proved it within the last ten minutes."""
    return is_fresh(proved_at(request))


def prove(request: HttpRequest, device: TOTPDevice | Passkey) -> None:
    """A fresh proof was given in this session; its key changes, as at every proof."""
    request.session.cycle_key()
    request.session[PROVED] = int(time.time())
    user = request.user
    assert isinstance(user, User)
    record(Tag.PROVED_AGAIN, actor=f"user:{user.pk}", merchant=user.merchant, factor=device.kind)


def proof_required(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Like `owner_required`, and the owner has proved it within ten minutes or is asked to first."""
    return owner_required(_recent(view))


def proof_to_enrol(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The same for pages where an owner sets up the second factor that `owner_required` asks for."""
    return owner_signed_in(_recent(view))


def _recent(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if is_recent(request):
            return view(request, *args, **kwargs)
        return redirect(f"{reverse('portal:confirm')}?{urlencode({'next': request.path})}")

    return guarded
