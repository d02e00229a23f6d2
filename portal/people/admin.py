"""What the support desk sees of the ways in which owners prove who they are: that they exist, never what."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portal import changes
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
    actions = ("stop",)
    list_select_related = ("merchant",)
    search_fields = ("number", "merchant__number")
    fields = (
        "number", "merchant", "what", "state", "kind", "holder", "masked", "requested_by", "requested_at",
        "in_force_at", "ends_at", "ended_at",
    )  # fmt: skip

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is edited; those who may change merchants may stop a change."""
        return obj is None and request.user.has_perm("portal.change_merchant")

    @admin.action(description=_("Stop and undo, as the old address asks"), permissions=["change"])
    def stop(self, request: HttpRequest, queryset: QuerySet[AddressChange]) -> None:
        """Undo those that still stand; a caller has quoted the number of each."""
        rows = queryset.select_related("merchant", "address")
        stopped = sum(changes.stop(change, f"user:{request.user.pk}") for change in rows)
        messages.info(request, _("Stopped and undone: %(count)d") % {"count": stopped})
