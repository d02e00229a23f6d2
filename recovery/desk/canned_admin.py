"""Prepared answers in the admin: both languages, and no word in braces that stands for nothing."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from recovery.desk import canned
from recovery.forms import refuse_oddities
from recovery.models import CannedReply


class CannedReplyForm(forms.ModelForm):  # type: ignore[type-arg]
    """One answer."""

    def _known(self, field: str) -> str:
        text = str(self.cleaned_data[field])
        refuse_oddities(text)
        if unknown := canned.unknown_in(text):
            told = {"words": ", ".join(f"{{{word}}}"[:40] for word in unknown)}
            raise ValidationError(_("Nothing is known by the name of %(words)s.") % told)
        return text

    def clean_text_zh(self) -> str:
        """The Chinese text."""
        return self._known("text_zh")

    def clean_text_en(self) -> str:
        """The English text."""
        return self._known("text_en")


@admin.register(CannedReply)
class CannedReplyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The answers that support has ready."""

    form = CannedReplyForm
    list_display = ("name", "text_zh", "text_en", "active")
    list_filter = ("active",)
    search_fields = ("name", "text_zh", "text_en")
    readonly_fields = ("meanings",)
    fields = ("name", "text_zh", "text_en", "active", "meanings")

    @admin.display(description=_("words in braces"))
    def meanings(self, reply: Any) -> SafeString:
        """What may stand in the texts."""
        rows = [(f"{{{word}}}", meaning) for word, meaning in canned.MEANINGS.items()]
        return format_html_join("", "<code>{}</code> {}<br>", rows)
