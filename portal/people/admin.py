"""What the support desk sees of the ways in which owners prove who they are: that they exist, never what."""

from __future__ import annotations

from django.contrib import admin

from portal.kept import ReadOnly
from portal.models import Address, AddressChange, RecoveryCode


@admin.register(RecoveryCode)
class RecoveryCodeAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Codes on paper, used and unused. Nobody can read one here: there are only digests."""

    list_display = ("sheet", "merchant", "created_at", "used_at", "used_for", "revoked_at")
    list_filter = ("created_at", "used_at")
    list_select_related = ("merchant",)
    search_fields = ("sheet", "merchant__number", "used_for")
    fields = ("sheet", "merchant", "created_by", "created_at", "used_at", "used_for", "revoked_at")


@admin.register(Address)
class AddressAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Where owners and their contacts can be reached, masked."""

    list_display = (
        "merchant",
        "name",
        "kind",
        "holder",
        "masked",
        "confirmed_at",
        "held_until",
        "retired_at",
    )
    list_filter = ("kind", "holder")
    list_select_related = ("merchant",)
    search_fields = ("merchant__number", "merchant__legal_name", "name")
    fields = (
        "merchant", "name", "kind", "holder", "masked", "locale", "created_at", "confirmed_at", "held_until",
        "retired_at",
    )  # fmt: skip


@admin.register(AddressChange)
class AddressChangeAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """What was named, replaced and confirmed. A caller quotes the number of what they want stopped."""

    list_display = ("number", "merchant", "what", "state", "masked", "requested_at", "ends_at")
    list_filter = ("what", "state")
    list_select_related = ("merchant",)
    search_fields = ("number", "merchant__number")
    fields = (
        "number", "merchant", "what", "state", "kind", "holder", "masked", "requested_by", "requested_at",
        "in_force_at", "ends_at", "ended_at",
    )  # fmt: skip
