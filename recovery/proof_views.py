"""How do you want to prove it: the ways that are open, why the others are not, and a page for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from portal import passkey_views
from portal.answers import wrong_code
from portal.challenges import Outcome
from portal.forms import CodeForm, PaperForm, PasskeyForm
from recovery import access, doubts, flow, proving, steps
from recovery.access import at, shielded
from recovery.authority import TO_PROVE, NotAllowed, decide
from recovery.forms import AppCodeForm, WayForm
from recovery.gates.decide import Decision, Verdict, Way
from recovery.gates.floors import Doubt, Method
from recovery.models import Recovery
from recovery.pages import page, page_methods, posted
from recovery.status import clock
from recovery.ways import addresses_of, apps_of
from terminals.models import Operator

ProofView = Callable[..., HttpResponse]

# The page of each way, its name, and what it takes.
PAGES: Mapping[Method, str] = {
    Method.TOTP: "recovery:prove_by_app",
    Method.EMAIL: "recovery:prove_by_email",
    Method.PASSKEY: "recovery:prove_by_passkey",
    Method.RECOVERY_CODE: "recovery:prove_by_paper",
    Method.CONTACT: "recovery:prove_by_contact",
    Method.POSSESSION: "recovery:prove_at_terminal",
}
NAMES: Mapping[Method, tuple[str | Promise, str | Promise]] = {
    Method.SMS: (gettext_lazy("Text message"), ""),
    Method.VOICE: (gettext_lazy("Phone call"), ""),
    Method.TOTP: (
        gettext_lazy("Authenticator app"),
        gettext_lazy("Six digits that change every half minute"),
    ),
    Method.EMAIL: (gettext_lazy("E-mail"), gettext_lazy("A code to a mailbox of the owner")),
    Method.PASSKEY: (gettext_lazy("Passkey"), gettext_lazy("Finger, face or PIN of an owner's device")),
    Method.RECOVERY_CODE: (gettext_lazy("Recovery code"), gettext_lazy("One of the ten codes on paper")),
    Method.CONTACT: (gettext_lazy("Recovery contact"), gettext_lazy("Somebody you named reads you a code")),
    Method.POSSESSION: (gettext_lazy("At the terminal"), gettext_lazy("Scan the QR code on its screen")),
}
NONE: Mapping[Method, str | Promise] = {
    Method.TOTP: gettext_lazy("No owner of this shop has set one up."),
    Method.EMAIL: gettext_lazy("The shop has named no mailbox that can be written to."),
    Method.PASSKEY: gettext_lazy("No owner of this shop has made one."),
    Method.RECOVERY_CODE: gettext_lazy("The shop has no sheet of codes, or all are used."),
    Method.CONTACT: gettext_lazy("The shop has named nobody who can be asked now."),
    Method.POSSESSION: gettext_lazy("No terminal of this shop is connected."),
}
NOT_PROVED = gettext_lazy("That passkey could not be used. Try again, or prove it in another way.")
SHUT: Mapping[str, str | Promise] = {
    "policy": gettext_lazy("Your provider does not take this proof."),
    Doubt.HELD: gettext_lazy("It was changed less than 72 hours ago."),
}


@page_methods
@at(*steps.CHOOSING)
def prove(request: HttpRequest, recovery: Recovery, number: str) -> HttpResponse:
    """Ask how the further proof shall be given. Nothing has moved; without a need it leads on."""
    decision = decide(recovery, number)
    chosen = Operator.objects.filter(terminal_id=recovery.terminal_id, number=number).first()
    if decision.reason not in TO_PROVE or chosen is None:
        return onward(recovery, number)
    if decision.verdict is not Verdict.PROOF:
        return page(request, "refused", recovery, 4, operator=chosen, until=frozen_until(recovery, decision))
    ways = {way.method: way for way in decision.open if way.method in PAGES}
    form = WayForm(posted(request))
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["way"] in ways:
            return redirect(PAGES[form.cleaned_data["way"]], number)
        form.add_error("way", _("Choose one of the list."))
    rows = [{"value": way, "name": NAMES[way][0], "takes": NAMES[way][1]} for way in ways]
    context = {
        "form": form,
        "rows": rows,
        "shut": [closed(way) for way in decision.shut if way.shut != "given"],
        "given": [NAMES[Method(proof.method)][0] for proof in recovery.proofs.all()],
        "doubt": next((doubt for doubt in Doubt if doubt in decision.doubts), ""),
        "until": ends(decision, recovery),
        "operator": chosen,
    }
    return page(request, "prove", recovery, 4, **context)


def closed(way: Way) -> dict[str, str | Promise]:
    """A way that is shut, why, and when it opens."""
    why = NONE[way.method] if way.shut == "none" else SHUT[way.shut]
    return {"name": NAMES[way.method][0], "why": why, "opens": clock(way.opens_at)}


def ends(decision: Decision, recovery: Recovery) -> str:
    """When what is doubted about the phone is over, if it passes by itself."""
    assert recovery.merchant is not None
    times = [doubts.until(doubt, recovery.merchant) for doubt in decision.doubts]
    known = [time for time in times if time is not None]
    return clock(max(known)) if known and len(known) == len(times) else ""


def frozen_until(recovery: Recovery, decision: Decision) -> datetime | None:
    """Until when somebody of the shop has stopped everything, if that is why."""
    frozen = decision.reason == "frozen" and recovery.merchant is not None
    return recovery.merchant.frozen_until if frozen and recovery.merchant else None


def onward(recovery: Recovery, number: str) -> HttpResponse:
    """To the password, now that the proofs are enough; else to the page that says what is missing."""
    try:
        flow.choose_operator(recovery, number)
    except NotAllowed as refusal:
        if refusal.reason in TO_PROVE:
            return redirect("recovery:prove", number)
    recovery.refresh_from_db()
    return redirect(access.page_of(recovery))


def offered(method: Method | None = None) -> Callable[[ProofView], ProofView]:
    """Open a page only while its way, or the one in its address, would add to what was proved."""

    def decorate(view: ProofView) -> ProofView:
        @wraps(view)
        def guarded(request: HttpRequest, recovery: Recovery, number: str, **given: Method) -> HttpResponse:
            if (method or given["method"]) not in {way.method for way in decide(recovery, number).open}:
                return redirect("recovery:prove", number)
            return view(request, recovery, number, **given)

        return guarded

    return decorate


@require_safe
@at(*steps.CHOOSING)
@offered(Method.POSSESSION)
def terminal(request: HttpRequest, recovery: Recovery, number: str) -> HttpResponse:
    """Say how to begin at the terminal, where standing there is the second proof."""
    return page(request, "prove_at_terminal", recovery, 4, number=number)


@page_methods
@shielded("code")
@at(*steps.CHOOSING)
@offered(Method.TOTP)
def app(request: HttpRequest, recovery: Recovery, number: str) -> HttpResponse:
    """Ask for the code of an owner's authenticator app; with several owners, also whose it is."""
    assert recovery.merchant is not None
    owners = [(str(device.pk), device.user.get_username()) for device in apps_of(recovery.merchant)]
    form = AppCodeForm(posted(request), owners=owners)
    if request.method == "POST" and form.is_valid():
        outcome = proving.by_app(recovery, form.cleaned_data["app"], form.cleaned_data["code"])
        if outcome.ok:
            return onward(recovery, number)
        form.add_error("code", refusal(outcome))
    return page(request, "prove_by_app", recovery, 4, form=form, number=number)


@page_methods
@shielded("code")
@at(*steps.CHOOSING)
@offered()
def address(request: HttpRequest, recovery: Recovery, number: str, method: Method) -> HttpResponse:
    """Ask which address, and send the code there. Looking sends nothing."""
    assert recovery.merchant is not None
    form = WayForm(posted(request))
    if request.method == "POST" and form.is_valid():
        if proving.write_to(recovery, method, form.cleaned_data["way"]):
            return redirect(f"{PAGES[method]}_code", number)
        form.add_error("way", _("No code can be sent there now. Choose another, or prove it in another way."))
    found = addresses_of(recovery.merchant, method)
    rows = [{"value": way.id, "name": way.name or way.masked, "takes": way.masked} for way in found]
    rows[0]["checked"] = "1" if len(rows) == 1 else ""
    return page(request, "prove_by_address", recovery, 4, form=form, rows=rows, number=number, method=method)


@page_methods
@shielded("code")
@at(*steps.CHOOSING)
@offered()
def address_code(request: HttpRequest, recovery: Recovery, number: str, method: Method) -> HttpResponse:
    """Ask for the code that went to the address."""
    if proving.awaited(recovery, method) is None:
        return redirect(PAGES[method], number)
    form = CodeForm(posted(request))
    if request.method == "POST" and form.is_valid():
        outcome = proving.by_address(recovery, method, form.cleaned_data["code"])
        if outcome.ok:
            return onward(recovery, number)
        if outcome.tries_left == 0:
            messages.error(request, _("This code can no longer be used. Ask for a new one."))
            return redirect(PAGES[method], number)
        form.add_error("code", refusal(outcome))
    back = reverse(PAGES[method], args=(number,))
    return page(
        request, "prove_by_address_code", recovery, 4, form=form, number=number, method=method, back=back
    )


@page_methods
@shielded("code")
@at(*steps.CHOOSING)
@offered(Method.RECOVERY_CODE)
def paper(request: HttpRequest, recovery: Recovery, number: str) -> HttpResponse:
    """Ask for one of the codes on paper. A slip of the pen is told and spends nothing."""
    form = PaperForm(posted(request))
    if request.method == "POST" and form.is_valid():
        if proving.by_paper(recovery, form.cleaned_data["code"]):
            return onward(recovery, number)
        form.add_error("code", _("This code is not on your newest sheet, or it was used already."))
    return page(request, "prove_by_paper", recovery, 4, form=form, number=number)


@page_methods
@shielded("code")
@at(*steps.CHOOSING)
@offered(Method.PASSKEY)
def passkey(request: HttpRequest, recovery: Recovery, number: str) -> HttpResponse:
    """Ask the browser for a passkey of one of the owners. It takes a script; the other ways do not."""
    form = PasskeyForm(posted(request))
    if request.method == "POST":
        if form.is_valid() and proving.by_passkey(recovery, form.cleaned_data["response"]):
            return onward(recovery, number)
        messages.error(request, NOT_PROVED)
    return page(request, "prove_by_passkey", recovery, 4, number=number, **passkey_views.facts(request))


@require_POST
@shielded("code")
@at(*steps.CHOOSING)
@offered(Method.PASSKEY)
def passkey_options(request: HttpRequest, recovery: Recovery, number: str) -> HttpResponse:
    """What the browser has to sign, for this recovery only."""
    return passkey_views.options(proving.passkey_options(recovery))


def refusal(outcome: Outcome) -> str:
    """Why a code was not taken, in words."""
    if outcome.reason == "exhausted":
        return _("Too many wrong codes for this account. Try again in an hour, or prove it in another way.")
    if outcome.reason == "used":
        return _("This code was used already. Wait for the next one.")
    if outcome.reason == "wrong" and outcome.tries_left > 1:
        return wrong_code(outcome.tries_left)
    return _("That code is not right.")
