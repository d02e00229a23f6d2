"""Doors for people: signing in and out, the language, pages that never change, and what errors look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseForbidden
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from portal import accounts, challenges, known_browsers, passkey_views, sessions, stepup
from portal.accounts import OWNERS, Door, Pending, TooBusy, WrongPassword
from portal.answers import busy, too_many, wrong_code
from portal.challenges import Outcome
from portal.devices import PURPOSE, TOTPDevice
from portal.forms import CodeForm, SignInForm, local_path
from portal.limits import TooMany, shield
from portal.messaging import outbox, reports
from portal.network import address_block, client_address

FORM = "application/x-www-form-urlencoded"


# ── signing in ──────────────────────────────────────────────────────────────────────────────────────────────


@never_cache
def password_page(
    request: HttpRequest, door: Door, template: str, extra: Mapping[str, Any] | None = None
) -> HttpResponse:
    """Page one of a door."""
    wanted = request.GET.get(REDIRECT_FIELD_NAME, "")
    form = SignInForm(request.POST or None, initial={"next": local_path(wanted)})
    if request.method == "POST" and (answer := _try_password(request, door, form)):
        return answer
    if why := sessions.take_reason(request):
        messages.warning(request, ENDED[why])
    # `next` and `app_path` are what the admin's page asks for.
    context = {"form": form, "next": form["next"].value(), "app_path": request.path, **(extra or {})}
    return render(request, template, context)


ENDED = {
    "idle": _("You were signed out after 30 minutes without activity."),
    "absolute": _("You were signed out: after 8 hours everybody signs in again."),
}


def _try_password(request: HttpRequest, door: Door, form: SignInForm) -> HttpResponse | None:
    taken = shield("sign-in", address_block(client_address(request)))
    if not taken.ok:
        return too_many(request, taken.resets_in)
    if not form.is_valid():
        return None
    typed = form.cleaned_data
    try:
        accounts.check_password(request, door, typed["username"], typed["password"], typed["next"])
    except WrongPassword:
        form.add_error(
            None, ValidationError(_("User name and password do not belong together."), code="wrong")
        )
        return None
    except TooMany as error:
        return too_many(request, error.resets_in)
    except TooBusy:
        return busy(request, accounts.BUSY_S)
    return redirect(door.code_page)


@never_cache
def code_page(
    request: HttpRequest, door: Door, template: str, extra: Mapping[str, Any] | None = None
) -> HttpResponse:
    """Page two of a door, open to a browser whose password was right."""
    waiting = accounts.pending(request, door)
    if waiting is None:
        return redirect(door.page)
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and waiting.device.kind != "passkey":
        outcome = accounts.check_code(request, door, waiting, form.cleaned_data["code"])
        if outcome.ok:
            response = redirect(waiting.next or door.home)
            known_browsers.note_sign_in(request, response, waiting.user)
            return response
        form.add_error("code", ValidationError(_words(waiting, outcome), code=outcome.reason))
    context = {"form": form, **_code_facts(waiting), **(extra or {})}
    return render(request, template, context)


WORDS = {
    "wrong": _("That code is not right."),
    "used": _("This code has been used already."),
    "expired": _("This code is over. Start again."),
    "exhausted": _("Too many wrong codes. Start again."),
}


def _words(waiting: Pending, outcome: Outcome) -> str:
    if outcome.reason != "wrong" or waiting.device.kind != "sms":
        return str(WORDS[outcome.reason])
    return wrong_code(outcome.tries_left)


def _code_facts(waiting: Pending) -> dict[str, Any]:
    challenge = waiting.challenge
    facts = {"channel": waiting.device.kind, "who": waiting.user.get_username(), "minutes": 10, "dead": False}
    facts["next"] = waiting.next
    if challenge is None:
        return facts
    tries = challenges.tries_left(challenge)
    return facts | {
        "tail": waiting.user.phone[-4:],
        "wait": challenges.next_send_in(challenge),
        "sends_left": challenges.sends_left(challenge),
        "tries_left": tries,
        "dead": tries == 0,
    }


def resend_page(request: HttpRequest, door: Door) -> HttpResponse:
    """Send the pending code once more, if its time has come; the code page says what is possible next."""
    waiting = accounts.pending(request, door)
    if waiting is None:
        return redirect(door.page)
    if waiting.device.pending:
        challenges.resend(waiting.device.pending, PURPOSE, get_language() or settings.LANGUAGE_CODE)
    return redirect(door.code_page)


def confirm_page(
    request: HttpRequest, door: Door, template: str, extra: Mapping[str, Any] | None = None
) -> HttpResponse:
    """A fresh second factor before what wants one: a code of the app, or the sign-in again."""
    wanted = local_path(request.GET.get(REDIRECT_FIELD_NAME, ""))
    app = TOTPDevice.objects.filter(user=request.user, confirmed=True).first()
    if request.method == "POST" and "again" in request.POST:
        accounts.sign_out(request)
        return redirect(f"{reverse(door.page)}?{urlencode({REDIRECT_FIELD_NAME: wanted})}")
    form = CodeForm(request.POST or None)
    if app is not None and request.method == "POST" and form.is_valid():
        outcome = app.judge(form.cleaned_data["code"])
        if outcome.ok:
            stepup.prove(request, app)
            return redirect(wanted or door.home)
        form.add_error("code", ValidationError(WORDS[outcome.reason], code=outcome.reason))
    return render(request, template, {**(extra or {}), "form": form, "app": app})


def sign_in(request: HttpRequest) -> HttpResponse:
    """Owners: user name and password."""
    return password_page(request, OWNERS, "portal/sign_in.html", passkey_views.facts(request))


def sign_in_code(request: HttpRequest) -> HttpResponse:
    """Owners: the second factor."""
    return code_page(request, OWNERS, "portal/sign_in_code.html", passkey_views.facts(request))


@require_POST
def sign_in_resend(request: HttpRequest) -> HttpResponse:
    """Owners: the text again."""
    return resend_page(request, OWNERS)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    accounts.sign_out(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@require_safe
def signed_out(request: HttpRequest) -> HttpResponse:
    """You are out."""
    return render(request, "portal/signed_out.html")


# ── language and fixed pages ────────────────────────────────────────────────────────────────────────────────


@require_safe
def set_language_link(request: HttpRequest, code: str) -> HttpResponse:
    """Remember a language in a cookie and go back to where one came from. A link, for it must work bare."""
    if code not in dict(settings.LANGUAGES):
        raise Http404
    response = redirect(local_path(request.GET.get(REDIRECT_FIELD_NAME, "")) or "/")
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        code,
        max_age=365 * 86400,
        samesite="Lax",
        secure=settings.SECURE,
        httponly=True,
    )
    return response


@require_safe
def hotline(request: HttpRequest) -> HttpResponse:
    """Is the caller really from support?"""
    return render(request, "portal/hotline.html")


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """What is kept, for how long, and who sees it."""
    return render(request, "portal/privacy.html")


# ── the provider's reports ──────────────────────────────────────────────────────────────────────────────────


@csrf_exempt
@require_POST
def sms_callback(request: HttpRequest, callback_key: str) -> HttpResponse:
    """Twilio's report about one text. 204 for a genuine one, new or not; 403, unexplained, for others."""
    plain = request.content_type == FORM and not request.META.get("QUERY_STRING")
    if not plain or not settings.TWILIO_CALLBACK_ORIGIN:
        return HttpResponseForbidden()
    report = reports.read_report(
        outbox.callback_url_of(callback_key),
        dict(request.POST.lists()),
        request.headers.get("X-Twilio-Signature", ""),
        request.headers.get("X-Twilio-Webhooks-Signature-Settings", ""),
    )
    if report is None:
        return HttpResponseForbidden()
    outbox.note_report(callback_key, report.provider_id, report.status, report.error, gateway="twilio")
    return HttpResponse(status=204)


# ── when something is wrong ─────────────────────────────────────────────────────────────────────────────────


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400."""
    return render(request, "400.html", status=400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403."""
    return render(request, "403.html", status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that was open too long, or in a browser without cookies."""
    return render(request, "403.html", {"reason": "csrf"}, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404."""
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, without asking anything of a database that may be what broke."""
    number = structlog.contextvars.get_contextvars().get("request_id", "")
    told = {"number": number, "hotline": settings.REKEY_HOTLINE}
    return HttpResponse(render_to_string("500.html", told), status=500)
