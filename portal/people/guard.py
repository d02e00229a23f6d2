"""Pages that change how an owner proves who they are open to a fresh sign-in only."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from portal.accounts import owner_required
from portal.models import Merchant, User
from portal.sessions import STARTED

FRESH_S = 600


def recent_proof_required(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Open a page to owners who passed both factors within ten minutes; others prove it once more.

    The view may rely on `request.user.merchant`, as with `owner_required`.
    """

    @owner_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if time.time() - request.session.get(STARTED, 0) >= FRESH_S:
            messages.info(request, _("Please sign in once more: this page asks for a fresh sign-in."))
            return redirect_to_login(request.get_full_path())
        return view(request, *args, **kwargs)

    return guarded


def merchant_of(request: HttpRequest) -> Merchant:
    """The shop of the owner who is signed in; the guards have seen to it."""
    user = request.user
    assert isinstance(user, User) and user.merchant is not None
    return user.merchant


def actor_of(request: HttpRequest) -> str:
    """The owner as the audit trail names people."""
    return f"user:{request.user.pk}"
