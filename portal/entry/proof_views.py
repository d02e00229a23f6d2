"""Proving it without a sign-in: which ways are open, and a page for a code and one for paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from portal import challenges, recovery_codes
from portal.answers import wrong_code
from portal.challenges import Outcome
from portal.entry import proving
from portal.entry.forms import ProofForm
from portal.entry.pages import PROVE, begun, methods, onward, page, posted, shielded
from portal.entry.rules import NEEDS, Decision, Doubt, Proof, Target
from portal.entry.sitting import HOLDERS, Sitting, judge, written_to
from portal.forms import CodeForm, PaperForm
from portal.models import Merchant
from portal.views import WORDS

Row = dict[str, str | Promise]
NAMES: Mapping[Proof, str | Promise] = {
    Proof.INVITATION: _("Invitation"),
    Proof.PASSWORD: _("Password"),
    Proof.APP: _("Authenticator app"),
    Proof.PASSKEY: _("Passkey"),
    Proof.TEXT: _("Text message"),
    Proof.EMAIL: _("E-mail"),
    Proof.PAPER: _("Recovery code"),
    Proof.CONTACT: _("Recovery contact"),
}
NONE: Mapping[Proof, str | Promise] = {
    Proof.TEXT: _("No phone is registered for this shop."),
    Proof.EMAIL: _("The shop has named no mailbox that can be written to."),
    Proof.PAPER: _("The shop has no sheet of codes, or all are used."),
    Proof.CONTACT: _("The shop has named nobody who can be asked now."),
}
DOUBTED: Mapping[Doubt, str | Promise] = {
    Doubt.HELD: _("The registered phone was changed less than 72 hours ago."),
    Doubt.STALE: _("Nobody has confirmed the registered phone for 90 days."),
    Doubt.DISTRUSTED: _("There were too many wrong codes for this shop."),
    Doubt.EVERYBODY: _("Somebody is guessing codes on a large scale. Tomorrow it is open again."),
}


@methods
@shielded("code")
@begun
def prove(request: HttpRequest, sitting: Sitting) -> HttpResponse:
    """What is proved, what is missing, and the ways that are open."""
    decision = judge(sitting)
    if decision.allowed or sitting.target is Target.JOIN:
        return onward(sitting)
    rows = list(_rows(sitting, decision)) if decision.possible else []
    form = ProofForm(posted(request))
    answer = _chosen(request, sitting, form, rows) if form.is_valid() else None
    if answer is not None:
        return answer
    return page(request, "prove", sitting, form=form, rows=rows, **_facts(sitting, decision))


def _chosen(
    request: HttpRequest, sitting: Sitting, form: ProofForm, rows: Iterable[Row]
) -> HttpResponse | None:
    way, _colon, address = form.cleaned_data["way"].partition(":")
    if form.cleaned_data["way"] not in {row["value"] for row in rows}:
        form.add_error("way", _("Choose one of the list."))
        return None
    if way == Proof.PAPER:
        return redirect(f"portal:{sitting.target}_paper")
    if proving.send_code(request, sitting, Proof(way), address):
        return redirect(f"portal:{sitting.target}_code")
    form.add_error("way", _("No code can be sent there now. Choose another, or come back tomorrow."))
    return None


def _rows(sitting: Sitting, decision: Decision) -> Iterator[Row]:
    """The open ways, each address in a row of its own."""
    merchant = sitting.merchant
    assert merchant is not None
    if Proof.TEXT in decision.open:
        takes = _("To the registered phone %(phone)s") % {"phone": merchant.masked_phone}
        yield {"value": Proof.TEXT, "name": NAMES[Proof.TEXT], "takes": takes}
    for proof in (proof for proof in HOLDERS if proof in decision.open):
        for way in written_to(merchant, proof):
            named = f"{NAMES[proof]}: {way.name}" if way.name else NAMES[proof]
            yield {"value": f"{proof}:{way.id}", "name": named, "takes": way.masked}
    if Proof.PAPER in decision.open:
        yield {"value": Proof.PAPER, "name": NAMES[Proof.PAPER], "takes": _("One of the ten codes on paper")}


def _facts(sitting: Sitting, decision: Decision) -> dict[str, Any]:
    """What the page tells besides: what was given, and why the other ways are shut."""
    wanted = [proof for proof in NONE if any(proof in group for group in NEEDS[sitting.target])]
    shut = [proof for proof in wanted if proof not in decision.open | sitting.given]
    merchant = sitting.merchant
    return {
        "given": [NAMES[proof] for proof in NAMES if proof in sitting.given],
        "shut": [{"name": NAMES[one], "why": _why(one, decision, merchant)} for one in shut],
        "block": decision.block or "",
        "missing": sum(not group & sitting.given for group in NEEDS[sitting.target]),
    }


def _why(proof: Proof, decision: Decision, merchant: Merchant | None) -> str | Promise:
    if proof is Proof.TEXT and decision.doubt:
        return DOUBTED[decision.doubt]
    if proof is Proof.PAPER and merchant is not None and recovery_codes.left(merchant):
        return _("One proof of this kind is enough.")
    return NONE[proof]


@methods
@shielded("code")
@begun
def code(request: HttpRequest, sitting: Sitting) -> HttpResponse:
    """Type the code that was sent."""
    challenge = proving.awaited(sitting)
    if challenge is None:
        return _refused(request, sitting) if _is_stuck(sitting) else onward(sitting)
    form = CodeForm(posted(request))
    if request.method == "POST" and form.is_valid():
        outcome = proving.check_code(request, sitting, form.cleaned_data["code"])
        if outcome.ok:
            return onward(sitting)
        form.add_error("code", ValidationError(words(outcome), code=outcome.reason))
        challenge.refresh_from_db()
    context = {
        "proof": proving.proof_awaited(sitting),
        "tail": challenge.phone[-4:],
        "wait": challenges.next_send_in(challenge),
        "sends_left": challenges.sends_left(challenge),
        "dead": challenges.tries_left(challenge) == 0,
        "back": reverse(PROVE[sitting.target]),
        "again": reverse(f"portal:{sitting.target}_resend"),
    }
    return page(request, "code", sitting, form=form, **context)


def _is_stuck(sitting: Sitting) -> bool:
    """Whether somebody who is invited cannot go on: there is one way for them, and it is shut."""
    return sitting.target is Target.JOIN and not judge(sitting).allowed


def _refused(request: HttpRequest, sitting: Sitting) -> HttpResponse:
    decision, merchant = judge(sitting), sitting.merchant
    held = merchant.phone_held_until if merchant and decision.doubt is Doubt.HELD else None
    return page(request, "refused", sitting, block=decision.block or "", until=held)


def words(outcome: Outcome) -> str:
    """What is said about a code that was not right."""
    return wrong_code(outcome.tries_left) if outcome.reason == "wrong" else str(WORDS[outcome.reason])


@require_POST
@shielded("code")
@begun
def resend(request: HttpRequest, sitting: Sitting) -> HttpResponse:
    """The same code again; the page of the code says what is possible next."""
    proving.resend(request, sitting)
    return redirect(f"portal:{sitting.target}_code")


@methods
@shielded("code")
@begun
def paper(request: HttpRequest, sitting: Sitting) -> HttpResponse:
    """Ask for one of the codes on paper, while one would help."""
    if Proof.PAPER not in judge(sitting).open:
        return onward(sitting)
    form = PaperForm(posted(request))
    if request.method == "POST" and form.is_valid():
        if proving.use_paper(request, sitting, form.cleaned_data["code"]):
            messages.success(request, _("That code is used up now: cross it out."))
            return onward(sitting)
        wrong = _("This code is not on your newest sheet, or it was used already.")
        form.add_error("code", ValidationError(wrong, code="wrong"))
    return page(request, "paper", sitting, form=form, back=reverse(PROVE[sitting.target]))
