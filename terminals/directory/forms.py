"""What is typed into the directory: by merchants who look for somebody, and by editors who enter it."""

from __future__ import annotations

import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from portal.forms import PlainForm
from terminals.directory.numbers import LONGEST, canonical, plain
from terminals.forms import PlateField
from terminals.models import DirectoryEntry, DirectoryKey, DirectoryNumber

MOST_MARKS = 8
# Control, surrogate and private characters, and those that turn the direction of what follows.
UNFIT = {"Cc", "Cs", "Co", "Zl", "Zp"}
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str) -> str:
    """The text as it is stored. Raises ValidationError for what cannot stand in a line of plain text."""
    text = unicodedata.normalize("NFC", text.strip())
    if any(sign in TURNING or unicodedata.category(sign) in UNFIT for sign in text):
        raise ValidationError(_("There is a sign in it that cannot be shown. Type it anew."), code="unfit")
    if sum(unicodedata.category(sign) == "Mn" for sign in text) > MOST_MARKS + len(text) // 2:
        raise ValidationError(_("There is a sign in it that cannot be shown. Type it anew."), code="unfit")
    return text


class FindForm(PlainForm):
    """A brand, or how a number on the machine or on a receipt begins."""

    what = forms.CharField(
        label=_("Brand, serial number or merchant number"),
        help_text=_(
            "The serial number is on the back of the machine, beside “S/N”; the merchant number is on any"
            " card receipt. The first few characters are enough."
        ),
        max_length=LONGEST,
    )

    def clean_what(self) -> str:
        """At least two signs: one alone is in every other name."""
        text = one_line(plain(self.cleaned_data["what"]))
        if len(text) < 2:
            raise ValidationError(_("Type at least two characters."), code="short")
        return text


class NumberForm(PlainForm):
    """A telephone number that somebody called from, or asks to be called on."""

    number = forms.CharField(label=_("Telephone number"), max_length=LONGEST)

    def clean_number(self) -> str:
        """As it was typed, without signs that nobody sees; whether it is a number at all is seen here."""
        text = str(self.cleaned_data["number"])
        if not canonical(text):
            raise ValidationError(
                _("Type one number, as your phone shows it: digits, spaces and dashes."), code="number"
            )
        return "".join(sign for sign in text if unicodedata.category(sign) not in {"Cc", "Cf"})


class LineForm(forms.ModelForm):  # type: ignore[type-arg]
    """Lines of plain text."""

    def clean(self) -> dict[str, Any]:
        """Each as it is stored."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name, value in [*cleaned.items()]:
            if isinstance(value, str):
                try:
                    cleaned[name] = one_line(value)
                except ValidationError as error:
                    self.add_error(name, error)
        return cleaned


class EntryForm(LineForm):
    """Name, hours, web and where all that can be looked up."""

    class Meta:
        model = DirectoryEntry
        fields = ("kind", "name_zh", "name_en", "hours_zh", "hours_en", "web", "source", "retired")


class NumberLineForm(LineForm):
    """A number as people write it; its digits are made here."""

    class Meta:
        model = DirectoryNumber
        fields = ("shown",)

    def clean(self) -> dict[str, Any]:
        """It has to be a number, and the entry has it once."""
        cleaned = super().clean()
        shown = cleaned.get("shown", "")
        self.instance.digits = canonical(shown)
        if shown and not self.instance.digits:
            self.add_error("shown", _("Type one number: digits, spaces and dashes."))
        cleaned["shown"] = plain(shown)
        return cleaned


class NumbersOfOne(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """All numbers of an entry: each once, however it is written."""

    def clean(self) -> None:
        """Tell the second of two that are one."""
        super().clean()
        seen: set[str] = set()
        for form in self.forms:
            digits = form.instance.digits
            if not digits or form in self.deleted_forms:
                continue
            if digits in seen:
                form.add_error("shown", _("This number is there already."))
            seen.add(digits)


class KeyLineForm(LineForm):
    """A beginning, in capitals."""

    start = PlateField(label=_("begins with"), max_length=16)

    class Meta:
        model = DirectoryKey
        fields = ("kind", "start")
