"""What a person should look at."""

from __future__ import annotations

from django.contrib import admin

from portal.kept import ReadOnly
from terminals.models import TerminalAlert


@admin.register(TerminalAlert)
class TerminalAlertAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Alerts, open ones first."""

    list_display = ("raised_at", "kind", "terminal", "count", "last_at", "cleared_at")
    list_filter = ("kind", ("cleared_at", admin.EmptyFieldListFilter))
    list_select_related = ("terminal",)
    search_fields = ("terminal__number__iexact", "terminal__serial__iexact")
