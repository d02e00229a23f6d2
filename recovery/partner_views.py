"""The desk of a partner: merchants of one acquirer, their terminals and cases; to attest and to co-sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import stepup
from portal.accounts import PARTNERS, partner_required
from portal.models import User
from portal.views import code_page, confirm_page, password_page, resend_page
from recovery.desk import assisted, attesting, partners
from recovery.desk.conversation import READABLE
from recovery.desk.refusals import words as refused
from recovery.desk.ticket_page import STUCK
from recovery.desk.verification import Refused
from recovery.models import Ticket, Verification
from terminals.overview import health_of

PER_PAGE = 30
LONGEST = 60
MOST_TERMINALS = 200
WITH = ("ticket", "agent", "recovery__merchant", "recovery__terminal__store", "recovery__command")
methods = require_http_methods(["GET", "HEAD", "POST"])


def _partner(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


# ── the door ────────────────────────────────────────────────────────────────────────────────────────────────


@methods
def sign_in(request: HttpRequest) -> HttpResponse:
    """User name and password."""
    return password_page(request, PARTNERS, "recovery/partner/sign_in.html")


@methods
def code(request: HttpRequest) -> HttpResponse:
    """The second factor."""
    return code_page(request, PARTNERS, "recovery/partner/code.html")


@require_POST
def resend(request: HttpRequest) -> HttpResponse:
    """The text again."""
    return resend_page(request, PARTNERS)


@methods
@never_cache
@partner_required
def confirm(request: HttpRequest) -> HttpResponse:
    """A fresh second factor before something is decided."""
    return confirm_page(request, PARTNERS, "recovery/partner/confirm.html")


# ── what there is ───────────────────────────────────────────────────────────────────────────────────────────


def _asked(request: HttpRequest) -> str:
    """What is looked for; a sign that no database keeps finds nothing."""
    return request.GET.get("q", "").replace("\x00", "").strip()[:LONGEST]


def _page(request: HttpRequest, rows: QuerySet[Any]) -> Any:
    return Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))


@require_safe
@never_cache
@partner_required
def home(request: HttpRequest) -> HttpResponse:
    """What waits for this partner, and the cases of their merchants."""
    person, asked = _partner(request), _asked(request)
    state = request.GET.get("state", "")
    rows = partners.tickets_of(person).select_related("merchant")
    if state == "closed":
        rows = rows.filter(state=Ticket.State.CLOSED)
    elif state != "all":
        rows = rows.exclude(state=Ticket.State.CLOSED)
    if asked:
        named = Q(number__iexact=asked) | Q(merchant__number__startswith=asked)
        rows = rows.filter(named | Q(merchant__legal_name__icontains=asked) | Q(subject__icontains=asked))
    waiting = partners.verifications_of(person).select_related(*WITH).order_by("expires_at")
    context = {
        "waiting": [row for row in waiting if row.agent_id != person.pk],
        "page_obj": _page(request, rows),
        "asked": asked,
        "state": state if state in {"closed", "all"} else "open",
        "kept": urlencode({"q": asked, "state": state}),
    }
    return render(request, "recovery/partner/home.html", context)


@require_safe
@never_cache
@partner_required
def merchants(request: HttpRequest) -> HttpResponse:
    """The shops, by number or name."""
    asked, rows = _asked(request), partners.merchants_of(_partner(request))
    if asked:
        rows = rows.filter(Q(number__startswith=asked) | Q(legal_name__icontains=asked))
    context = {"page_obj": _page(request, rows), "asked": asked, "kept": urlencode({"q": asked})}
    return render(request, "recovery/partner/merchants.html", context)


@require_safe
@never_cache
@partner_required
def merchant(request: HttpRequest, number: str) -> HttpResponse:
    """One shop with its terminals and its last cases."""
    person, now = _partner(request), timezone.now()
    shop = get_object_or_404(partners.merchants_of(person), number=number)
    terminals = partners.terminals_of(person).filter(store__merchant=shop)
    rows = terminals.select_related("store", "model", "status").order_by("number")[:MOST_TERMINALS]
    context = {
        "merchant": shop,
        "rows": [{"terminal": each, "health": health_of(each, now)} for each in rows],
        "tickets": partners.tickets_of(person).filter(merchant=shop)[:PER_PAGE],
    }
    return render(request, "recovery/partner/merchant.html", context)


@require_safe
@never_cache
@partner_required
def ticket(request: HttpRequest, number: str) -> HttpResponse:
    """One case: what was said without the desk's notes, and the caller who is being verified now."""
    person = _partner(request)
    case = get_object_or_404(partners.tickets_of(person).select_related("merchant"), number=number)
    rows = partners.verifications_of(person).filter(ticket=case).select_related(*WITH)
    context = {
        "ticket": case,
        "stuck": STUCK.get(case.step, ""),
        "thread": case.entries.filter(READABLE).order_by("at", "id"),
        **_caller(person, rows.first()),
    }
    return render(request, "recovery/partner/ticket.html", context)


def _caller(person: User, row: Verification | None) -> dict[str, Any]:
    """The caller, and which keys this partner has about them."""
    if row is None:
        return {"verification": None}
    merchant, command = row.recovery.merchant, row.recovery.command
    assert merchant is not None
    attested = row.statements.filter(by__isnull=False).first()
    mine = attested is not None and attested.by_id == person.pk
    asked, other = row.state == Verification.State.ASKED, not assisted.is_same(person, row.agent)
    return {
        "verification": row,
        "asked": asked,
        "attested": attested,
        "may_attest": not asked and attested is None and other and person.has_perm(partners.ATTEST),
        "may_decide": asked and not mine and other and assisted.may_decide(person, merchant),
        "digest": assisted.digest_of(row, command) if command is not None else "",
    }


# ── what they say ───────────────────────────────────────────────────────────────────────────────────────────


def _attest(request: HttpRequest, row: Verification) -> str:
    attesting.attest(row, _partner(request), stepup.proved_at(request))
    return _("Noted. The agent sees it at once.")


def _approve(request: HttpRequest, row: Verification) -> str:
    shown = request.POST.get("shown", "")[:64]
    assisted.approve(row, _partner(request), stepup.proved_at(request), shown)
    return _("Approved. The operator now chooses a password at the terminal.")


def _deny(request: HttpRequest, row: Verification) -> str:
    assisted.deny(row, _partner(request), stepup.proved_at(request))
    return _("Refused. Nothing was reset.")


KEYS: dict[str, Callable[[HttpRequest, Verification], str]] = {
    "attest": _attest,
    "approve": _approve,
    "deny": _deny,
}


@require_POST
@partner_required
def decide(request: HttpRequest, pk: str) -> HttpResponse:
    """Do what the pressed key says about a caller of one of their shops."""
    rows = partners.verifications_of(_partner(request)).select_related(*WITH)
    row = get_object_or_404(rows, pk=pk)
    there = reverse("recovery:partner_ticket", args=[row.ticket.number])
    pressed = request.POST.get("do", "")
    if pressed not in KEYS:
        return redirect(there)
    if not stepup.is_recent(request):
        return redirect(f"{reverse('recovery:partner_confirm')}?{urlencode({'next': there})}")
    try:
        messages.info(request, KEYS[pressed](request, row))
    except Refused as refusal:
        messages.error(request, refused(refusal.reason))
    return redirect(there)
