"""Issuer keys, by name."""

from __future__ import annotations

from django.contrib import admin

from portal.kept import ReadOnly
from terminals.models import IssuerKey


@admin.register(IssuerKey)
class IssuerKeyAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """The keys that may sign commands, by name; made and revoked on the command line."""

    list_display = ("kid", "not_before", "expires_at", "revoked_at")
    fields = ("kid", "commands", "not_before", "expires_at", "revoked_at")
