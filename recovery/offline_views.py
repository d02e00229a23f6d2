"""The page for a terminal without a network: its ten digits in, eight digits out, shown once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from recovery import access, unlocking
from recovery.access import at, shielded
from recovery.authority import NotAllowed, operator_of
from recovery.forms import QuestionForm
from recovery.models import Recovery
from recovery.pages import page, page_methods, posted
from recovery.status import clock
from recovery.steps import subject_mark
from recovery.views import cannot
from terminals.health import health
from terminals.offline import CannotUnlock

State = Recovery.State


@page_methods
@shielded("code")
@at(State.SETTING, State.DISPATCHED, State.DONE)
def offline(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Ask for the digits on the screen and answer them, in this one response and nowhere else."""
    done = recovery.reason == unlocking.ANSWERED
    if not done and not unlocking.may_unlock(recovery, timezone.now()):
        return redirect(access.page_of(recovery))
    form = QuestionForm(posted(request), mark=subject_mark(recovery))
    if request.method == "POST" and form.is_valid():
        try:
            answer = unlocking.unlock(recovery, form.cleaned_data["question"], settings.REKEY_HOTLINE)
        except NotAllowed as refusal:
            form.add_error(None, cannot(refusal.reason))
        except CannotUnlock as refusal:
            form.add_error("question", unanswered(refusal))
        else:
            recovery.refresh_from_db()
            return shown(request, recovery, answer)
    if done:
        return shown(request, recovery, "")
    till = recovery.terminal
    assert till is not None
    context = {"terminal": till, "operator": operator_of(recovery), "health": health(till, timezone.now())}
    return page(request, "offline", recovery, 5, form=form, **context)


def shown(request: HttpRequest, recovery: Recovery, answer: str) -> HttpResponse:
    """The answer, or only what became of it when the page is looked at again."""
    unlock = unlocking.answered(recovery)
    context: dict[str, Any] = {
        "answer": f"{answer[:4]} {answer[4:]}" if answer else "",
        "terminal": recovery.terminal,
        "operator": operator_of(recovery),
        "answered": clock(unlock.answered_at if unlock else None),
        "used": clock(unlock.receipt_at if unlock else None),
    }
    return page(request, "offline_answer", recovery, **context)


def unanswered(refusal: CannotUnlock) -> str:
    """Why a question gets no answer, in words, with what to do."""
    words = {
        "slip": _("Check the number: a digit is wrong, or two stand the wrong way round."),
        "out_of_step": _("This number is too old. Have the terminal show a new one, and type that."),
        "stopped": _("This terminal is stopped; it cannot be unlocked. Please contact support."),
    }
    if refusal.reason == "too_many":
        until = clock(timezone.now() + timedelta(seconds=refusal.resets_in))
        return _("This terminal had enough answers for today. It can have one again after %(time)s.") % {
            "time": until
        }
    return words.get(refusal.reason, _("This terminal cannot be unlocked this way. Please contact support."))
