"""Tickets in the admin: the page support staff work on all day. Phones are masked."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db.models import QuerySet, TextField
from django.forms import BaseModelFormSet, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from portal.admin_site import change_address
from portal.models import User
from recovery.desk import tickets
from recovery.desk.panel import panel
from recovery.models import Ticket, TicketEntry


def agent_of(request: HttpRequest) -> User:
    """Who works at the desk; the admin lets nobody else in."""
    assert isinstance(request.user, User)
    return request.user


class EntryInline(admin.TabularInline):  # type: ignore[type-arg]
    """What was said and done; an entry can be added and never changed."""

    model = TicketEntry
    extra = 1
    fields = ("at", "author", "user", "text")
    readonly_fields = ("at", "author", "user")
    # A box in a table of the stock admin has a column, but no label of its own.
    formfield_overrides = {
        TextField: {"widget": AdminTextareaWidget(attrs={"aria-label": _("entry"), "rows": 4})}
    }

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was said stays said."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The same."""
        return False


@admin.register(Ticket)
class TicketAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The cases that wait for a person."""

    list_display = ("number", "subject", "merchant", "step", "assignee", "state", "waiting")
    list_filter = ("state", "step", ("assignee", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("merchant", "assignee")
    search_fields = ("number__iexact", "subject", "merchant__number")
    readonly_fields = (
        "number",
        "subject",
        "state",
        "step",
        "merchant",
        "of_recovery",
        "masked_phone",
        "created_at",
    )
    fields = (*readonly_fields, "assignee")
    inlines = (EntryInline,)
    actions = ("take", "close")
    change_form_template = "admin/recovery/ticket/change_form.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tickets are opened where somebody got stuck."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A case is closed, never deleted."""
        return False

    @admin.display(description=_("phone to call back"))
    def masked_phone(self, ticket: Ticket) -> str:
        """Whom to call back, the middle hidden; a key on the page shows it whole to the case's agent."""
        return ticket.masked_phone

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Cases are worked on by support staff, never by an owner."""
        if db_field.name == "assignee":
            kwargs["queryset"] = User.objects.filter(is_staff=True, is_active=True).order_by("username")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **more: Any
    ) -> HttpResponse:
        """With where the verification of the caller stands."""
        if isinstance(ticket := context.get("original"), Ticket):
            context |= panel(ticket, agent_of(request))
        return super().render_change_form(request, context, *args, **more)

    def response_change(self, request: HttpRequest, obj: Ticket) -> HttpResponse:
        """The three keys of a case: take it, show the number, close it."""
        agent = agent_of(request)
        if "_take" in request.POST:
            took = tickets.assign(obj, agent)
            messages.info(request, _("This case is yours.") if took else _("Somebody has this case already."))
        elif "_number" in request.POST:
            number = tickets.call_back_number(obj, agent)
            messages.info(request, number or _("Take the case first; then you see the number."))
        elif "_close" in request.POST:
            tickets.close(obj, agent)
            messages.info(request, _("The case is closed."))
        else:
            return super().response_change(request, obj)
        return HttpResponseRedirect(request.path)

    @admin.display(description=_("recovery"))
    def of_recovery(self, ticket: Ticket) -> str:
        """A link to the recovery it came from."""
        if ticket.recovery is None:
            return "–"
        return format_html(
            '<a href="{}">{}</a>',
            change_address(ticket.recovery),
            ticket.recovery.number,
        )

    @admin.display(description=_("waiting"), ordering="created_at")
    def waiting(self, ticket: Ticket) -> str:
        """Minutes since it was opened, until it is closed."""
        until = ticket.closed_at or timezone.now()
        return f"{int((until - ticket.created_at).total_seconds() // 60)} min"

    @admin.action(description=_("Take the chosen tickets"), permissions=["change"])
    def take(self, request: HttpRequest, chosen: QuerySet[Ticket]) -> None:
        """Assign to whoever asks what nobody has yet."""
        got = sum(tickets.assign(ticket, agent_of(request)) for ticket in chosen)
        messages.info(request, _("%(got)d of %(all)d are yours now.") % {"got": got, "all": len(chosen)})

    @admin.action(description=_("Close the chosen tickets"), permissions=["change"])
    def close(self, request: HttpRequest, chosen: QuerySet[Ticket]) -> None:
        """Close what is done."""
        done = sum(tickets.close(ticket, agent_of(request)) for ticket in chosen)
        messages.info(request, _("%(done)d closed.") % {"done": done})

    def save_formset(
        self, request: HttpRequest, form: ModelForm[Ticket], formset: BaseModelFormSet[Any, Any], change: bool
    ) -> None:
        """A new entry is the agent's own reply, with anything secret covered."""
        for entry in formset.save(commit=False):
            tickets.reply(form.instance, agent_of(request), entry.text)
        formset.save_m2m()
