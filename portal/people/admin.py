"""What the support desk sees of the ways in which owners prove who they are: that they exist, never what."""

from __future__ import annotations

from django.contrib import admin

from portal.kept import ReadOnly
from portal.models import RecoveryCode


@admin.register(RecoveryCode)
class RecoveryCodeAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Codes on paper, used and unused. Nobody can read one here: there are only digests."""

    list_display = ("sheet", "merchant", "created_at", "used_at", "used_for", "revoked_at")
    list_filter = ("created_at", "used_at")
    list_select_related = ("merchant",)
    search_fields = ("sheet", "merchant__number", "used_for")
    fields = ("sheet", "merchant", "created_by", "created_at", "used_at", "used_for", "revoked_at")
