"""What was asked for at terminals, with and without a network: when, for whom, and what became of it."""

from __future__ import annotations

from django.contrib import admin

from portal.kept import ReadOnly
from terminals.models import OfflineUnlock, RecoveryRequest


@admin.register(RecoveryRequest)
class RecoveryRequestAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Recoveries started at a terminal."""

    list_display = ("created_at", "terminal", "operator_number", "state", "tries", "proved_at")
    list_filter = ("state", "created_at")
    list_select_related = ("terminal",)
    search_fields = ("id", "terminal__number__iexact", "terminal__serial__iexact")
    date_hierarchy = "created_at"
    fields = readonly_fields = (
        "id",
        "terminal",
        "operator_number",
        "state",
        "tries",
        "created_at",
        "proved_at",
        "finished_at",
        "expires_at",
        "command",
    )


@admin.register(OfflineUnlock)
class OfflineUnlockAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Answers that were given, and receipts of answers that were not."""

    list_display = ("answered_at", "terminal", "operator_number", "counter", "requested_by", "receipt_at")
    list_filter = ("answered_at",)
    list_select_related = ("terminal",)
    search_fields = ("recovery_ref", "terminal__number__iexact", "terminal__serial__iexact")
    fields = readonly_fields = (
        "terminal",
        "operator_number",
        "counter",
        "requested_by",
        "recovery_ref",
        "answered_at",
        "receipt_at",
    )
