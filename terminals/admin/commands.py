"""Commands with their timeline."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from portal.kept import ReadOnly
from terminals.admin import inspector
from terminals.models import Command, CommandEvent, Receipt


class CommandEventInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """The moves of a command."""

    model = CommandEvent
    extra = 0
    fields = readonly_fields = ("at", "from_state", "to_state", "actor", "facts")


class ReceiptInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """What the terminal has signed about it."""

    model = Receipt
    extra = 0
    fields = readonly_fields = ("received_at", "at", "status", "reason", "result", "hwm")


@admin.register(Command)
class CommandAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Commands with their timeline."""

    list_display = (
        "id",
        "kind",
        "operator_number",
        "terminal",
        "state",
        "reason",
        "created_at",
        "applied_at",
    )
    list_filter = ("state", "kind", "created_at")
    list_select_related = ("terminal",)
    search_fields = ("id", "terminal__number__iexact", "terminal__serial__iexact", "recovery_ref")
    date_hierarchy = "created_at"
    fields = (
        "id",
        "kind",
        "of_terminal",
        "operator_number",
        "args",
        "guard",
        "state",
        "reason",
        "late",
        "requested_by",
        "approved_by",
        "recovery_ref",
        "superseded_by",
        "seq",
        "attempt",
        "defers",
        "created_at",
        "pushed_at",
        "fetched_at",
        "retry_at",
        "applied_at",
        "signed_on_at",
        "finished_at",
        "expires_at",
    )
    readonly_fields = ("of_terminal",)
    inlines = (CommandEventInline, ReceiptInline)

    def get_urls(self) -> list[URLPattern]:
        """The inspector's page, beside the stock addresses."""
        look = self.admin_site.admin_view(inspector.page)
        return [path("queue/<str:terminal_id>/", look, name="terminals_inspector"), *super().get_urls()]

    @admin.display(description=_("terminal"))
    def of_terminal(self, command: Command) -> SafeString:
        """Which one, with a way to its queue."""
        return format_html('<a href="{}">{}</a>', inspector.address(command.terminal_id), command.terminal)
