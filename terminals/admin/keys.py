"""Issuer keys and keysets, by name: made, renewed and revoked on the command line alone."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from portal.kept import ReadOnly
from terminals.keys import issuer
from terminals.models import IssuerKey, Keyset
from terminals.protocol import FACTORY_RESET

STANDINGS = {
    "prepared": _("prepared, not published"),
    "next": _("published ahead"),
    "current": _("in use"),
    "previous": _("for terminals that lag behind"),
    "retired": _("retired"),
    "revoked": _("revoked"),
}


@admin.register(IssuerKey)
class IssuerKeyAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """The keys that may sign commands and where each stands."""

    list_display = ("kid", "signs", "standing", "activated_at", "expires_at", "revoked_at")
    fields = readonly_fields = (
        "kid",
        "signs",
        "standing",
        "file",
        "first_version",
        "last_version",
        "not_before",
        "activated_at",
        "expires_at",
        "revoked_at",
    )
    ordering = ("-not_before", "kid")

    @admin.display(description=_("signs"))
    def signs(self, key: IssuerKey) -> Any:
        """Factory resets, or everything else."""
        return _("factory resets") if FACTORY_RESET in key.commands else _("commands")

    @admin.display(description=_("state"))
    def standing(self, key: IssuerKey) -> Any:
        """In use, ahead, or done with; there are few keys, so it is worked out for each."""
        return next(STANDINGS[one.state] for one in issuer.standings() if one.key.kid == key.kid)


@admin.register(Keyset)
class KeysetAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """What was published, and which root vouched for it."""

    list_display = ("version", "root_thumbprint", "created_at")
    fields = readonly_fields = ("version", "root_thumbprint", "created_at")
