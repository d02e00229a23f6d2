"""Commands with their timeline."""

from __future__ import annotations

from django.contrib import admin

from portal.kept import ReadOnly
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
        "terminal",
        "operator_number",
        "args",
        "state",
        "reason",
        "late",
        "requested_by",
        "approved_by",
        "recovery_ref",
        "superseded_by",
        "attempt",
        "created_at",
        "pushed_at",
        "fetched_at",
        "retry_at",
        "applied_at",
        "signed_on_at",
        "finished_at",
        "expires_at",
    )
    inlines = (CommandEventInline, ReceiptInline)
