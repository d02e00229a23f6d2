"""The page on which a code is awaited and typed: how far it has come, and what else there is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from portal import challenges, texting
from portal.answers import wrong_code
from portal.forms import CodeForm
from portal.messaging.carriers import is_offered
from portal.messaging.course import Phase, course_of
from portal.messaging.gateways import reason_for
from portal.models import Channel
from recovery import access, flow, steps
from recovery.access import at, remember, shielded
from recovery.models import Recovery
from recovery.pages import page, page_methods, posted
from recovery.views import go_on

# A page whose text is gone for good stops asking; who comes back to it, asks again.
WATCHED = timedelta(minutes=3)


@page_methods
@shielded("code")
@at(*steps.PROVING)
def code(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Ask for the code. Looking at this page or reloading it sends nothing."""
    form = CodeForm(posted(request))
    if request.method == "POST" and form.is_valid():
        judged = flow.prove(recovery, form.cleaned_data["code"])
        if judged.token is not None:
            recovery.refresh_from_db()
            if recovery.user_code_digest and recovery.request_id is None:
                messages.warning(request, screen_gone())
            response = go_on(recovery)
            remember(response, judged.token)
            access.know_again(request, response, recovery)
            return response
        form.add_error("code", refusal(judged.outcome))
        recovery.challenge.refresh_from_db()
    challenge = recovery.challenge
    tries = challenges.tries_left(challenge)
    return page(
        request,
        "code_by_mail" if recovery.email else "code",
        recovery,
        2,
        form=form,
        wait=challenges.next_send_in(challenge),
        tries_left=tries,
        dead=tries == 0,
        stopped=texting.stopped(),
        **how_far(recovery),
    )


def how_far(recovery: Recovery) -> dict[str, Any]:
    """What the page says of the way of its code; nobody reports on mails."""
    if recovery.email:
        return {"sends_left": challenges.sends_left(recovery.challenge)}
    return delivery(recovery, timezone.now())


def delivery(recovery: Recovery, now: datetime) -> dict[str, Any]:
    """How far the code has come and whether the phone may be called: what page and fragment share."""
    challenge = recovery.challenge
    handled = recovery.texts_settled >= challenge.sends
    course = course_of(challenge, recovery.resolved_at if handled else None, now)
    left = challenges.sends_left(challenge)
    rested = challenges.next_call_in(challenge, now) == 0
    # Somebody whom the carrier says it has reached is asked to look first; later the report may be a lie.
    believed = course.phase == Phase.DELIVERED and challenges.next_send_in(challenge, now) > 0
    return {
        "course": course,
        "reason": reason_for(course.error),
        "by_call": challenge.channel == Channel.VOICE,
        "tail": recovery.phone[-4:],
        "until": challenge.expires_at,
        "sends_left": left,
        "may_call": left > 0 and rested and not believed and is_offered(Channel.VOICE),
        "worried": course.phase != Phase.DELIVERED and rested,
    }


@require_safe
@at(*steps.PROVING)
def delivery_fragment(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """The moving part of the code page, for a script that asks every two seconds."""
    if recovery.email:
        return HttpResponse(status=204, headers={"Rekey-Live": "0"})
    now, challenge = timezone.now(), recovery.challenge
    response = page(request, "code_fragment", recovery, **delivery(recovery, now))
    watched = challenge.last_sent_at is None or now < challenge.last_sent_at + WATCHED
    response.headers["Rekey-Live"] = "1" if watched and challenges.tries_left(challenge) else "0"
    return response


def screen_gone() -> str:
    """What is said to somebody who was too late for the screen's code, or second."""
    return _("The code on the terminal's screen is used or has run out. You can go on here all the same.")


def refusal(outcome: challenges.Outcome) -> str:
    """Why a code was not taken, in words."""
    if outcome.tries_left > 0 and outcome.reason == "wrong":
        return wrong_code(outcome.tries_left)
    return _("This code can no longer be used. Please start again.")


@require_POST
@shielded("code")
@at(*steps.PROVING)
def resend(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Ask for the same code once more. Too early, the page says how long."""
    if flow.resend(recovery):
        messages.success(request, _("Asked for once more. If two arrive, the newer one counts."))
    return redirect("recovery:code")


@require_POST
@shielded("code")
@at(*steps.PROVING)
def call(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Ask for a call that speaks the code. Too early, the page stays as it is."""
    if is_offered(Channel.VOICE) and flow.resend(recovery, Channel.VOICE):
        messages.success(request, _("If the details match, your phone rings in a moment. Have a pen ready."))
    return redirect("recovery:code")
