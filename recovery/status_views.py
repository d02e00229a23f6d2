"""The pages after a password was sent off: what has become of it, and how to take it back or set another."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from recovery import access, flow, unlocking
from recovery.access import at
from recovery.authority import operator_of
from recovery.models import Recovery
from recovery.not_me import disown, frozen_until
from recovery.pages import page, page_methods
from recovery.status import status_of

State = Recovery.State
DISOWNED = _(
    "The operator is being locked, and for an hour nobody resets anything. Every address of the shop was"
    " told, and support has a case and calls."
)
FROZEN_ALREADY = _("This was reported already: resets are off, and support has a case.")
SENT = (State.DISPATCHED, State.DONE, State.FAILED)


def status_context(recovery: Recovery) -> dict[str, Any]:
    """What page and fragment share."""
    now = timezone.now()
    return {
        "status": status_of(recovery, now),
        "can_unlock": unlocking.may_unlock(recovery, now),
        "tail": recovery.phone[-4:],
        "frozen_until": frozen_until(recovery.merchant),
    }


@require_safe
@at(*SENT)
def status(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Tell how far the command has come: only what has happened."""
    if recovery.command is None:
        return redirect(access.page_of(recovery))
    return page(request, "status", recovery, **status_context(recovery))


@require_safe
@at(*SENT)
def status_fragment(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """The moving part of the status page, for a script that asks every two seconds."""
    if recovery.command is None:
        return HttpResponse(status=204, headers={"Rekey-Live": "0"})
    context = status_context(recovery)
    response = page(request, "status_fragment", recovery, **context)
    response.headers["Rekey-Live"] = "1" if context["status"].live else "0"
    return response


@page_methods
@at(*SENT)
def withdraw(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Ask once before a reset is taken back."""
    if recovery.command is None or not status_of(recovery, timezone.now()).can_withdraw:
        return redirect(access.page_of(recovery))
    if request.method == "POST":
        flow.withdraw(recovery)
        return redirect("recovery:status")
    return page(request, "withdraw", recovery, operator=operator_of(recovery), terminal=recovery.terminal)


@page_methods
@at(*SENT)
def not_me(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Ask once, then undo what can be undone and raise the alarm."""
    if recovery.command is None:
        return redirect(access.page_of(recovery))
    if request.method == "POST":
        first = disown(recovery)
        messages.warning(request, DISOWNED if first else FROZEN_ALREADY)
        return redirect("recovery:status")
    return page(request, "not_me", recovery, operator=operator_of(recovery), terminal=recovery.terminal)


@require_POST
@at(State.FAILED)
def again(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Set another password with the same proof, while that is fresh."""
    flow.set_again(recovery)
    return redirect("recovery:password")
