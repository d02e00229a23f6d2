"""Tickets in the admin: the page support staff work on all day. Phones are masked."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from portal.admin_site import change_address
from portal.models import User
from portal.templatetags.rekey import span
from recovery.desk import service, tickets
from recovery.desk.call_admin import note_call
from recovery.desk.level_views import level_panel, set_level
from recovery.desk.photo_answers import photo_of
from recovery.desk.queue import (
    AssignForm,
    TicketList,
    View,
    clock_cell,
    counted,
    health_cell,
    order_of,
    priority_tag,
)
from recovery.desk.ticket_keys import INSERTS, KEYS, inserted
from recovery.desk.ticket_page import STUCK, TicketForm, page
from recovery.models import Photo, Ticket


def agent_of(request: HttpRequest) -> User:
    """Who works at the desk; the admin lets nobody else in."""
    assert isinstance(request.user, User)
    return request.user


AT_ONCE = 500
KEPT = _("Read what is new; what you typed is still here.")


@admin.register(Ticket)
class TicketAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The cases that wait for a person."""

    list_display = ("case", "shop", "health", "stuck", "assignee", "due", "waiting")
    list_filter = (View,)
    list_select_related = ("merchant", "assignee", "recovery__terminal__status")
    # Looked for in every row, in any script; docs/operations.md says what that costs.
    search_fields = ("number__iexact", "subject", "merchant__legal_name", "merchant__number", "entries__text")
    list_per_page = 50
    show_full_result_count = False
    action_form = AssignForm
    actions = ("take", "assign", "close")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tickets are opened where somebody got stuck."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A case is closed, never deleted."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """The page that notes a call, photos, and where the panel of the service level posts to."""
        view = self.admin_site.admin_view
        return [
            path("call/", view(note_call), name="recovery_ticket_call"),
            path("photo/<slug:pk>/", view(self.photo), name="recovery_ticket_photo"),
            path("<slug:ticket_id>/level/", view(set_level), name="recovery_ticket_level"),
            *super().get_urls(),
        ]

    def photo(self, request: HttpRequest, pk: str) -> HttpResponse:
        """A photo on one of the cases that this person may see."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return photo_of(Photo.objects.filter(entry__ticket__in=self.get_queryset(request)), pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of one case: its story, what is known beside it, and what its agent may do."""
        ticket = self.get_object(request, unquote(object_id))
        if ticket is None:
            raise Http404
        may_change = self.has_change_permission(request, ticket)
        if not (may_change if request.method == "POST" else self.has_view_permission(request, ticket)):
            raise PermissionDenied
        form = TicketForm(
            request.POST if request.method == "POST" else None, initial={"version": ticket.version}
        )
        if request.method == "POST" and form.is_valid() and self._done(request, ticket, form):
            return HttpResponseRedirect(request.path)
        return render(request, "admin/recovery/ticket/change_form.html", self._page(request, ticket, form))

    def _page(self, request: HttpRequest, ticket: Ticket, form: TicketForm) -> dict[str, Any]:
        ticket.refresh_from_db()
        return {
            **self.admin_site.each_context(request),
            **page(ticket, agent_of(request), request.GET.get("only", "")),
            **level_panel(ticket),
            "recovery_url": change_address(ticket.recovery) if ticket.recovery is not None else "",
            "title": ticket.subject,
            "opts": self.opts,
            "original": ticket,
            "has_view_permission": True,
            "has_change_permission": self.has_change_permission(request, ticket),
            "form": form,
            # What was typed stays; what it answers is the case as it is now.
            "version": ticket.version,
        }

    def _done(self, request: HttpRequest, ticket: Ticket, form: TicketForm) -> bool:
        """Do what the pressed key says; whether the page is to be shown anew, and not with its form."""
        agent = agent_of(request)
        insert = next((key for key in INSERTS if key in request.POST), "")
        pressed = next((key for key in KEYS if key in request.POST), "")
        if not (pressed or insert):
            form.add_error(None, _("Choose one of the keys."))
            return False
        try:
            if insert:
                form.show(inserted(ticket, form.cleaned_data, INSERTS[insert]))
                return False
            messages.info(request, str(KEYS[pressed](ticket, agent, form.cleaned_data)))
        except tickets.Stale:
            form.add_error(None, _("Somebody did something about this case after you opened it. %s") % KEPT)
            return False
        except ValidationError as error:
            form.add_error(None, error)
            return False
        return True

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """With the views above the list."""
        views = {"views": counted(request), "chosen_view": request.GET.get("view", "")}
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {**(extra_context or {}), "title": title, **views})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TicketList]:
        """Rows with their clocks."""
        return TicketList

    def get_ordering(self, request: HttpRequest) -> Any:
        """What is due first comes first."""
        return order_of(request.GET.get("view", ""))

    @admin.display(description=_("ticket"), ordering="number")
    def case(self, ticket: Ticket) -> SafeString:
        """What it is about, its number, and how urgent where that is out of the ordinary."""
        return format_html("{} <small>{}{}</small>", ticket.subject, ticket.number, priority_tag(ticket))

    @admin.display(description=_("merchant"), ordering="merchant__legal_name")
    def shop(self, ticket: Ticket) -> SafeString | str:
        """Whose it is, once that was proved."""
        merchant = ticket.merchant
        if merchant is None:
            return "–"
        return format_html("{} <small>{}</small>", merchant.legal_name, merchant.number)

    @admin.display(description=_("terminal"))
    def health(self, ticket: Ticket) -> str:
        """How the terminal is doing."""
        return health_cell(ticket)

    @admin.display(description=_("got stuck at"), ordering="step")
    def stuck(self, ticket: Ticket) -> str | Promise:
        """Where self-service ended."""
        return STUCK.get(ticket.step, ticket.step) or "–"

    @admin.display(description=_("due"), ordering="next_due_at")
    def due(self, ticket: Ticket) -> str:
        """When the answer or the solution is due, or whom the case waits for."""
        return clock_cell(ticket)

    @admin.display(description=_("age"), ordering="created_at")
    def waiting(self, ticket: Ticket) -> str:
        """Since it was opened, until it was closed."""
        return span(int(((ticket.closed_at or timezone.now()) - ticket.created_at).total_seconds()))

    @admin.action(description=_("Take the chosen tickets"), permissions=["change"])
    def take(self, request: HttpRequest, chosen: QuerySet[Ticket]) -> None:
        """Assign to whoever asks what nobody has yet."""
        got = sum(tickets.assign(ticket, agent_of(request)) for ticket in chosen)
        messages.info(request, _("%(got)d of %(all)d are yours now.") % {"got": got, "all": len(chosen)})

    @admin.action(description=_("Give the chosen tickets to somebody"), permissions=["change"])
    def assign(self, request: HttpRequest, chosen: QuerySet[Ticket]) -> None:
        """Assign to the person named beside the action, whoever has them."""
        form = AssignForm(request.POST)
        del form.fields["action"]
        to = form.cleaned_data["to"] if form.is_valid() else None
        if to is None:
            messages.error(request, _("Choose who gets them, beside the action."))
            return
        got = service.assign_all(list(chosen[:AT_ONCE]), agent_of(request), to)
        messages.info(request, _("%(got)d now belong to %(to)s.") % {"got": got, "to": to})

    @admin.action(description=_("Close the chosen tickets"), permissions=["change"])
    def close(self, request: HttpRequest, chosen: QuerySet[Ticket]) -> None:
        """Close what is done."""
        done = sum(tickets.close(ticket, agent_of(request)) for ticket in chosen)
        messages.info(request, _("%(done)d closed.") % {"done": done})
