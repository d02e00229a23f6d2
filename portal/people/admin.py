"""What the support desk sees of the ways in which owners prove who they are: that they exist, never what."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from portal import changes, vetoes
from portal.kept import ReadOnly
from portal.models import Address, AddressChange, RecoveryCode
from portal.people import veto_views
from portal.people.forms import VetoForm

MAY_STOP = "portal.change_addresschange"


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
    """What was named, replaced and confirmed; a caller quotes the number of the notice to have it stopped."""

    list_display = ("number", "merchant", "what", "state", "masked", "requested_at", "ends_at")
    list_filter = ("what", "state")
    actions = ("stop",)
    change_list_template = "admin/portal/addresschange/change_list.html"
    list_select_related = ("merchant",)
    search_fields = ("number", "merchant__number")
    fields = (
        "number", "merchant", "what", "state", "kind", "holder", "masked", "requested_by", "requested_at",
        "in_force_at", "ends_at", "ended_at",
    )  # fmt: skip

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is edited; to change one is to stop it."""
        return obj is None and request.user.has_perm(MAY_STOP)

    def get_urls(self) -> list[URLPattern]:
        """Where the number that a caller quotes is typed, beside the stock addresses."""
        page = path("quoted/", self.admin_site.admin_view(self.quoted), name="portal_addresschange_quoted")
        return [page, *super().get_urls()]

    def quoted(self, request: HttpRequest) -> HttpResponse:
        """Undo the change whose notice the caller reads from. It tells of no other change."""
        if not request.user.has_perm(MAY_STOP):
            raise PermissionDenied
        form = VetoForm(request.POST or None)
        if form.is_valid():
            if vetoes.veto(form.cleaned_data["number"], f"user:{request.user.pk}"):
                messages.success(request, _("Stopped and undone: %(count)d") % {"count": 1})
                return redirect("admin:portal_addresschange_changelist")
            form.add_error("number", ValidationError(veto_views.NO_SUCH, code="unknown"))
        title = _("Undo by the number a caller quotes")
        context = {**self.admin_site.each_context(request), "title": title, "form": form, "opts": self.opts}
        return render(request, "admin/portal/addresschange/quoted.html", context)

    @admin.action(description=_("Stop and undo, as the old address asks"), permissions=["change"])
    def stop(self, request: HttpRequest, queryset: QuerySet[AddressChange]) -> None:
        """Undo those that still stand; a caller has quoted the number of each."""
        rows = queryset.select_related("merchant", "address")
        stopped = sum(changes.stop(change, f"user:{request.user.pk}") for change in rows)
        messages.info(request, _("Stopped and undone: %(count)d") % {"count": stopped})
