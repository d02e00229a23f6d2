"""How a terminal is, for the support desk: what needs care, and who has not called."""

from __future__ import annotations

import re
from typing import Any

from django import forms
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

VERSION = re.compile(r"[0-9A-Za-z_-]{1,20}(?:\.[0-9A-Za-z_-]{1,20}){0,5}")


def concerns(terminal: Terminal) -> SafeString | str:
    """What needs care, a line each, in the words that the owner reads."""
    found = condition(terminal, timezone.now()).concerns
    lines = ((concern.tone, concern.text, concern.advice) for concern in found)
    return format_html_join("", '<p><span class="tag tag--{}">{}</span> {}</p>', lines) or "–"


def facts(terminal: Terminal) -> SafeString | str:
    """Battery, network, firmware and the like."""
    known = ((fact["label"], fact["value"]) for fact in condition(terminal, timezone.now()).facts)
    return format_html_join("", "<p>{}: {}</p>", known) or "–"


class FirmwareForm(forms.ModelForm):  # type: ignore[type-arg]
    """A terminal model, its firmware list written as people write lists."""

    supported_firmware = forms.CharField(
        label=_("supported firmware"),
        required=False,
        max_length=400,
        help_text=_("Beginnings of version numbers, separated by commas, such as 4.2, 4.3. Empty: any."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["supported_firmware"] = ", ".join(map(str, self.instance.supported_firmware or ()))

    def clean_supported_firmware(self) -> list[str]:
        """The list, each beginning a version number."""
        typed = str(self.cleaned_data["supported_firmware"]).replace("，", ",")
        beginnings = [part.strip() for part in typed.split(",") if part.strip()]
        if not all(VERSION.fullmatch(beginning) for beginning in beginnings):
            raise forms.ValidationError(_("Write version numbers such as 4.2, separated by commas."))
        return beginnings


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
