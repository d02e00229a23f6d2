"""The pages of the journey: they ask, hand the answer to `flow`, and show where the row stands now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from portal import known_browsers, texting
from portal.network import address_block, client_address
from recovery import access, flow, presence, steps
from recovery.access import at, recovery_of, remember, shielded
from recovery.authority import TO_PROVE, NotAllowed, needing_more, operator_of, terminals_of
from recovery.binding import new_token, token_for
from recovery.forms import AboutForm, IdentifyForm, OperatorForm, PasswordForm, TerminalForm
from recovery.models import Recovery
from recovery.pages import page, page_methods, posted
from recovery.passwords import rules_of
from recovery.puzzle_views import ask_first
from terminals import offline
from terminals.commands import CannotIssue
from terminals.health import health
from terminals.models import Operator, Terminal

State = Recovery.State
expired = never_cache(access.expired)
SAME_TAB = timedelta(seconds=60)


# ── 1 identify ──────────────────────────────────────────────────────────────────────────────────────────────


@page_methods
@never_cache
@shielded("identify")
def identify(request: HttpRequest) -> HttpResponse:
    """Ask which shop and which phone. The answer is the same for everybody."""
    form = IdentifyForm(posted(request), initial=typed_before(request))
    if request.method == "POST" and form.is_valid():
        asked = asked_of(request, form.cleaned_data["phone"], identifier=form.cleaned_data["shop"])
        return begin(request, asked, form.cleaned_data["form"])
    return page(request, "identify", None, 1, form=form, stopped=texting.stopped())


def typed_before(request: HttpRequest) -> dict[str, str]:
    """The shop that this browser asked for just now, for somebody who came back to change the phone."""
    mine = recovery_of(request)
    return {"shop": mine.identifier} if mine is not None and mine.state in steps.PROVING else {}


def asked_of(
    request: HttpRequest, phone: str, *, email: str = "", identifier: str = "", user_code_digest: str = ""
) -> flow.Asked:
    """What this browser asks for, and from where."""
    return flow.Asked(
        identifier=identifier,
        phone=phone,
        email=email,
        locale=get_language() or "zh-hans",
        block=address_block(client_address(request)),
        user_code_digest=user_code_digest,
        known_digest=known_browsers.digest_of(known_browsers.token_of(request), phone or email),
    )


def begin(request: HttpRequest, asked: flow.Asked, form_key: str) -> HttpResponse:
    """Start a recovery, or go on with the one this very form or another tab has just started."""
    mine = recovery_of(request)
    if mine is not None and is_about(mine, asked) and just_started(mine):
        return redirect("recovery:code")
    about = (asked.user_code_digest or asked.identifier, asked.to, form_key)
    if (puzzle := ask_first(request, *about)) is not None:
        return puzzle
    token = token_for(form_key, asked.user_code_digest or asked.identifier, asked.to)
    recovery = flow.start(asked, token)
    if recovery.state not in steps.PROVING or recovery.expires_at <= timezone.now():
        # The form of a journey that is over, sent once more: a new one.
        token = new_token()
        flow.start(asked, token)
    response = redirect("recovery:code")
    remember(response, token)
    return response


def is_about(recovery: Recovery, asked: flow.Asked) -> bool:
    """Whether a recovery was started with the very same words."""
    typed = (recovery.identifier, recovery.user_code_digest, recovery.phone, recovery.email)
    return typed == (asked.identifier, asked.user_code_digest, asked.phone, asked.email)


def just_started(recovery: Recovery) -> bool:
    """Whether a second tab asking for the same may share this recovery, so that one text is sent."""
    return recovery.state in steps.PROVING and recovery.created_at > timezone.now() - SAME_TAB


def go_on(recovery: Recovery) -> HttpResponse:
    """Take the steps that need no answer, and lead to the page of the first that needs one."""
    if presence.is_asked(recovery):
        return redirect("recovery:match")
    try:
        if recovery.operator_number:
            flow.choose_operator(recovery, recovery.operator_number)
        elif recovery.terminal_id is None:
            only = list(terminals_of(recovery)[:2])
            if len(only) == 1:
                flow.choose_terminal(recovery, only[0].pk)
    except NotAllowed as refusal:
        if refusal.reason in TO_PROVE:
            return redirect("recovery:prove", recovery.operator_number)
    recovery.refresh_from_db()
    return redirect(access.page_of(recovery))


# ── 3 terminal, 4 operator ──────────────────────────────────────────────────────────────────────────────────


@page_methods
@at(*steps.CHOOSING)
def terminal(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Ask which terminal, and show which are in reach. One that was started at a terminal stays there."""
    if recovery.request_id is not None:
        return redirect("recovery:operator")
    form = TerminalForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            flow.choose_terminal(recovery, form.cleaned_data["terminal"])
        except NotAllowed:
            form.add_error("terminal", _("Choose a terminal of the list."))
        else:
            return redirect("recovery:operator")
    now = timezone.now()
    found = list(terminals_of(recovery))
    rows = [
        {
            "value": each.pk,
            "terminal": each,
            "health": health(each, now),
            "checked": each.pk == recovery.terminal_id or len(found) == 1,
        }
        for each in found
    ]
    return page(request, "choose_terminal", recovery, 3, form=form, rows=rows)


@page_methods
@at(*steps.CHOOSING)
def operator(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Ask whose password; the list alone answers who only forgot a number."""
    till = terminals_of(recovery).filter(pk=recovery.terminal_id).first()
    if till is None:
        return redirect("recovery:terminal")
    form = OperatorForm(posted(request), mark=steps.subject_mark(recovery))
    if request.method == "POST" and form.is_valid():
        number = form.cleaned_data["operator"]
        try:
            flow.choose_operator(recovery, number)
        except NotAllowed as refusal:
            if refusal.reason in TO_PROVE:
                return redirect("recovery:prove", number)
            form.add_error("operator", _("Choose an operator of the list."))
        else:
            recovery.refresh_from_db()
            return redirect(access.page_of(recovery))
    context = {
        "form": form,
        "rows": operator_rows(till, recovery),
        "terminal": till,
        "health": health(till, timezone.now()),
        "several": recovery.request_id is None and terminals_of(recovery).count() > 1,
    }
    return page(request, "choose_operator", recovery, 4, **context)


def operator_rows(till: Terminal, recovery: Recovery) -> list[dict[str, Any]]:
    """The operators for the page, ordinary ones first; `locked` is what the terminal itself reported."""
    status = getattr(till, "status", None)
    reported = status.inventory.get("operators", []) if status else []
    locked = {entry.get("op") for entry in reported if entry.get("locked")}
    operators = list(Operator.objects.filter(terminal=till).order_by("number"))
    more = needing_more(recovery, [each.number for each in operators])
    rows = [
        {
            "value": each.number,
            "number": each.number,
            "name": each.name,
            "role": each.get_role_display(),
            "locked": each.number in locked,
            "extra_proof": each.number in more,
            "checked": each.number == recovery.operator_number,
        }
        for each in operators
    ]
    return sorted(rows, key=lambda row: bool(row["extra_proof"]))


@page_methods
@at(*steps.CHOOSING, State.DONE)
def remembered(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """End the journey because the list was enough; afterwards, say that nothing was changed."""
    if request.method == "POST" and recovery.state != State.DONE:
        flow.remembered(recovery)
        return redirect("recovery:remembered")
    if recovery.reason != "remembered":
        return redirect(access.page_of(recovery))
    return page(request, "remembered", recovery)


# ── 5 new password ──────────────────────────────────────────────────────────────────────────────────────────


@page_methods
@sensitive_post_parameters("new_password", "again")
@at(State.SETTING)
def password(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Ask for the new password. What was typed is sealed or forgotten, never shown again."""
    till = terminals_of(recovery).filter(pk=recovery.terminal_id).first()
    chosen = operator_of(recovery)
    if till is None or chosen is None:
        return redirect("recovery:terminal")
    rules = rules_of(recovery, till, chosen)
    form = PasswordForm(posted(request), rules=rules, mark=steps.subject_mark(recovery))
    if request.method == "POST" and form.is_valid():
        try:
            flow.set_password(recovery, form.cleaned_data["new_password"])
        except (NotAllowed, CannotIssue) as refusal:
            form.add_error(None, cannot(refusal.reason))
        else:
            return redirect("recovery:status")
    context = {
        "form": form,
        "operator": chosen,
        "terminal": till,
        "health": health(till, timezone.now()),
        "rules": rules.lines(form.broken),
        "keypad": rules.policy.keypad,
        "min_length": rules.policy.min_length,
        "max_length": rules.policy.max_length,
        "can_unlock": offline.possible(till),
    }
    return page(request, "new_password", recovery, 5, **context)


@require_POST
@at(State.SETTING)
def let_them_choose(request: HttpRequest, recovery: Recovery) -> HttpResponse:
    """Let the operator choose at the terminal instead."""
    form = AboutForm(request.POST, mark=steps.subject_mark(recovery))
    if not form.is_valid():
        messages.warning(request, " ".join(str(error) for error in form.non_field_errors()))
        return redirect("recovery:password")
    try:
        flow.let_them_choose(recovery)
    except (NotAllowed, CannotIssue) as refusal:
        messages.error(request, cannot(refusal.reason))
        return redirect("recovery:password")
    return redirect("recovery:status")


def cannot(reason: str) -> str:
    """Why no command could be sent, in words, with what to do."""
    words = {
        "too_many_open": _("Too many commands are waiting for this terminal. Switch it on, then try again."),
        "proof": _("This operator needs one more proof. Choose the operator once more to see which."),
        "approval": _("This operator needs one more proof. Please contact support."),
        "frozen": _("Somebody of your shop has stopped all resets for an hour. Please contact support."),
        "operator": _("This operator is no longer on the terminal. Please choose again."),
        "no_operator": _("This operator is no longer on the terminal. Please choose again."),
        "possession": _("Please start again at the terminal."),
        "merchant": _("This shop cannot reset passwords at the moment. Please contact support."),
    }
    return words.get(reason, _("This terminal cannot take a reset at the moment. Please contact support."))
