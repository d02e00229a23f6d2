"""The pages on which an agent verifies a caller and starts a reset, and a second person says yes or no."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal import stepup
from portal.admin_site import confirm_address
from portal.kept import ReadOnly
from portal.models import Channel
from portal.network import address_block, client_address
from recovery.desk import assisted, panel, verification
from recovery.desk.admin import agent_of
from recovery.desk.refusals import words
from recovery.desk.verification import Refused, refuse
from recovery.desk.verification_forms import DocumentForm, ScreenForm, SubjectForm
from recovery.gates.evidence import Stated
from recovery.gates.floors import Method
from recovery.models import Ticket, Verification

MAY_VERIFY = "recovery.change_ticket"
MAY_READ = "recovery.view_verification"
PEOPLE = ("ticket", "agent", "decided_by")
WITH = (*PEOPLE, *(f"recovery__{name}" for name in ("merchant", "terminal__store", "challenge", "command")))
Step = Callable[[HttpRequest, Verification], str]


def address_of(row: Verification) -> str:
    """The page of a verification."""
    return reverse("admin:recovery_verification_page", args=[row.pk])


@admin.register(Verification)
class VerificationAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Verifications of callers, and what waits for a second person. Rows lead to their page."""

    list_display = ("number", "state", "of_shop", "of_terminal", "of_operator", "agent", "decided_by")
    list_filter = ("state", "created_at")
    list_select_related = WITH
    search_fields = ("ticket__number__iexact", "recovery__merchant__number", "recovery__terminal__number")
    date_hierarchy = "created_at"

    def get_urls(self) -> list[URLPattern]:
        """The two pages, beside the stock addresses."""
        view = self.admin_site.admin_view
        return [
            path("for/<slug:ticket_id>/", view(begin), name="recovery_verification_begin"),
            path("<slug:pk>/verify/", view(page), name="recovery_verification_page"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of a verification says all there is."""
        return HttpResponseRedirect(address_of(get_object_or_404(Verification, pk=unquote(object_id))))

    @admin.display(description=gettext_lazy("ticket"), ordering="ticket__number")
    def number(self, row: Verification) -> str:
        """The ticket's."""
        return row.ticket.number

    @admin.display(description=gettext_lazy("merchant"))
    def of_shop(self, row: Verification) -> str:
        """Whose reset."""
        return str(row.recovery.merchant)

    @admin.display(description=gettext_lazy("terminal"))
    def of_terminal(self, row: Verification) -> str:
        """Where."""
        return row.recovery.terminal.number if row.recovery.terminal is not None else "–"

    @admin.display(description=gettext_lazy("operator"))
    def of_operator(self, row: Verification) -> str:
        """Of which operator."""
        return row.recovery.operator_number


def begin(request: HttpRequest, ticket_id: str) -> HttpResponse:
    """Say which operator on which terminal the caller wants; then the ten minutes begin."""
    _may(request, MAY_VERIFY)
    ticket = get_object_or_404(Ticket.objects.select_related("recovery__terminal", "merchant"), pk=ticket_id)
    form = SubjectForm(request.POST if request.method == "POST" else None, initial=panel.initial(ticket))
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data["terminal"], form.cleaned_data["operator"]
        block = address_block(client_address(request))
        try:
            row = verification.start(ticket, agent_of(request), *asked, block)
        except Refused as refusal:
            form.add_error(None, words(refusal.reason))
        else:
            return HttpResponseRedirect(address_of(row))
    context = _frame(_("Verify the caller")) | {"ticket": ticket, "form": form}
    context |= admin.site.each_context(request)
    return TemplateResponse(request, "admin/recovery/verification/begin.html", context)


def page(request: HttpRequest, pk: str) -> HttpResponse:
    """Where a verification stands, and its next steps; each is one form with one key."""
    works = request.user.has_perm(MAY_VERIFY) or request.user.has_perm(assisted.APPROVE)
    if not works and (request.method == "POST" or not request.user.has_perm(MAY_READ)):
        raise PermissionDenied
    row = get_object_or_404(Verification.objects.select_related(*WITH), pk=pk)
    forms: dict[str, Form] = {"screen": ScreenForm(), "document": DocumentForm()}
    if request.method == "POST":
        answer = _act(request, row, forms)
        if answer is not None:
            return answer
        row = Verification.objects.select_related(*WITH).get(pk=pk)
    person = agent_of(request)
    may_decide = person.has_perm(assisted.APPROVE) and not assisted.is_same(person, row.agent)
    context = {
        **admin.site.each_context(request),
        **_frame(_("Verify the caller")),
        **panel.page(row),
        "forms": forms,
        "is_agent": row.agent_id == person.pk,
        "may_decide": may_decide,
        "caller_page": request.build_absolute_uri(reverse("recovery:caller")),
    }
    return TemplateResponse(request, "admin/recovery/verification/page.html", context)


def _act(request: HttpRequest, row: Verification, forms: dict[str, Form]) -> HttpResponse | None:
    """Do what one of the keys says and show the page again; None when a form has an error to show."""
    asked = request.POST.get("do", "")
    if asked in DECISIONS and not stepup.is_recent(request):
        refuse(row.ticket, agent_of(request), "stale")
        return HttpResponseRedirect(confirm_address(address_of(row)))
    try:
        if asked in FORMS:
            told = _with_form(request, row, asked, forms)
            if told is None:
                return None
        else:
            told = STEPS.get(asked, _nothing)(request, row)
    except Refused as refusal:
        messages.error(request, words(refusal.reason))
    else:
        if told:
            messages.info(request, told)
    return HttpResponseRedirect(address_of(row))


def _with_form(request: HttpRequest, row: Verification, asked: str, forms: dict[str, Form]) -> str | None:
    forms[asked] = form = type(forms[asked])(request.POST)
    return FORMS[asked](request, row, form) if form.is_valid() else None


def _may(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _frame(title: str) -> dict[str, Any]:
    return {"title": title, "opts": Verification._meta}


# ── the keys ────────────────────────────────────────────────────────────────────────────────────────────────


def _nothing(request: HttpRequest, row: Verification) -> str:
    return ""


def _sent(ok: bool) -> str:
    if ok:
        return _("A code is on its way. The caller types it on our page; you never hear it.")
    return _(
        "No code was sent: wait a minute, or take another way. What may be sent in a day may be used up."
    )


def _text(request: HttpRequest, row: Verification) -> str:
    return _sent(verification.send_code(row, agent_of(request)))


def _call(request: HttpRequest, row: Verification) -> str:
    return _sent(verification.send_code(row, agent_of(request), Channel.VOICE))


def _mail(request: HttpRequest, row: Verification) -> str:
    to = request.POST.get("address", "")[:24]
    return _sent(verification.write_to(row, agent_of(request), Method.EMAIL, to))


def _contact(request: HttpRequest, row: Verification) -> str:
    to = request.POST.get("address", "")[:24]
    return _sent(verification.write_to(row, agent_of(request), Method.CONTACT, to))


def _number(request: HttpRequest, row: Verification) -> str:
    number = verification.show_number(row, agent_of(request))
    return _("The registered phone: %(number)s. That you saw it is on record.") % {"number": number}


def _called(request: HttpRequest, row: Verification) -> str:
    verification.state(row, agent_of(request), Stated.CALL_BACK)
    return _("Noted: you called back.")


def _person(request: HttpRequest, row: Verification) -> str:
    verification.state(row, agent_of(request), Stated.IN_PERSON)
    return _("Noted: the person is here.")


def _start(request: HttpRequest, row: Verification) -> str:
    assisted.start(row, agent_of(request), stepup.proved_at(request))
    return _("Started. Everybody on file has been told.")


def _approve(request: HttpRequest, row: Verification) -> str:
    shown = request.POST.get("shown", "")[:64]
    assisted.approve(row, agent_of(request), stepup.proved_at(request), shown)
    return _("Approved. The operator now chooses a password at the terminal.")


def _deny(request: HttpRequest, row: Verification) -> str:
    assisted.deny(row, agent_of(request), stepup.proved_at(request))
    return _("Refused. Nothing was reset.")


def _screen(request: HttpRequest, row: Verification, form: Form) -> str:
    read = form.cleaned_data["code"], form.cleaned_data["number"]
    if verification.at_terminal(row, agent_of(request), *read):
        return _("Right: the caller stands at the terminal.")
    return _("That is not on this terminal's screen for this operator. Three wrong numbers end it.")


def _document(request: HttpRequest, row: Verification, form: Form) -> str | None:
    typed = form.cleaned_data["kind"], form.cleaned_data["document"]
    try:
        noted = verification.check_document(row, agent_of(request), *typed)
    except Refused as refusal:
        if refusal.reason != "document":
            raise
        form.add_error("document", words("document"))
        return None
    return _("Noted: %(what)s.") % {"what": panel.document_words(noted)}


DECISIONS = frozenset({"start", "approve", "deny"})
STEPS: dict[str, Step] = {
    "text": _text,
    "call": _call,
    "mail": _mail,
    "contact": _contact,
    "number": _number,
    "called": _called,
    "person": _person,
    "start": _start,
    "approve": _approve,
    "deny": _deny,
}
FORMS: dict[str, Callable[[HttpRequest, Verification, Any], str | None]] = {
    "screen": _screen,
    "document": _document,
}
