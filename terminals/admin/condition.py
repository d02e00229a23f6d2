"""How a terminal is, for the support desk: what needs care, and who has not called."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from terminals.condition import condition
from terminals.health import overdue
from terminals.models import Terminal


def concerns(terminal: Terminal) -> SafeString | str:
    """What needs care, a line each, in the words that the owner reads."""
    found = condition(terminal, timezone.now()).concerns
    lines = ((concern.tone, concern.text, concern.advice) for concern in found)
    return format_html_join("", '<p><span class="tag tag--{}">{}</span> {}</p>', lines) or "–"


def facts(terminal: Terminal) -> SafeString | str:
    """Battery, network, firmware and the like."""
    known = ((fact["label"], fact["value"]) for fact in condition(terminal, timezone.now()).facts)
    return format_html_join("", "<p>{}: {}</p>", known) or "–"


class OverdueFilter(admin.SimpleListFilter):
    """Terminals that should have called and did not."""

    title = _("connection")
    parameter_name = "overdue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The one question."""
        return [("yes", _("Offline"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Terminal]) -> QuerySet[Terminal]:
        """Active ones that are overdue, or all."""
        if self.value() != "yes":
            return queryset
        return queryset.filter(overdue(timezone.now()), state=Terminal.State.ACTIVE)


class OpenedFilter(admin.SimpleListFilter):
    """Terminals that were opened by force and not cleared yet."""

    title = _("opened by force")
    parameter_name = "opened"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The one question."""
        return [("yes", _("yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Terminal]) -> QuerySet[Terminal]:
        """Those, or all."""
        return queryset.filter(tampered_at__isnull=False) if self.value() == "yes" else queryset
