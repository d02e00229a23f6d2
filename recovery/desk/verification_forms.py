"""What the pages of a verification ask. No field can hold a password or a code of ours."""

from __future__ import annotations

import re

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from portal.forms import CodeForm, PlainForm
from portal.people.forms import NumberField
from recovery.forms import MatchForm, UserCodeForm

OPERATOR = re.compile(r"[0-9]{2}")


class SubjectForm(PlainForm):
    """Which operator on which terminal the caller wants reset."""

    terminal = forms.CharField(label=_("Terminal number"), max_length=16)
    operator = forms.CharField(label=_("Operator"), max_length=2)

    def clean_operator(self) -> str:
        """Two digits."""
        number = str(self.cleaned_data["operator"])
        if OPERATOR.fullmatch(number) is None:
            raise ValidationError(_("An operator number has 2 digits."), code="shape")
        return number


class ScreenForm(UserCodeForm, MatchForm):
    """What the caller reads from the terminal's screen."""

    field_order = ("code", "number")


class DocumentForm(PlainForm):
    """A document the agent looks at; its check digit is judged here, the whole number is kept nowhere."""

    kind = forms.ChoiceField(
        label=_("Document"), choices=[("licence", _("business licence")), ("identity", _("identity card"))]
    )
    document = forms.CharField(label=_("Its 18 signs"), max_length=40)


class CallerForm(CodeForm):
    """The ticket somebody is on the phone about, and the code that came."""

    ticket = NumberField(
        label=_("Ticket No."),
        help_text=_("8 letters and digits, such as R7F3-K229. Capitals and hyphens do not matter."),
        max_length=40,
    )
    field_order = ("ticket", "code")
