"""What a merchant types to read a case, and to answer."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.forms import PhoneField, PlainForm
from portal.people.forms import NumberField
from recovery.forms import refuse_oddities


class FollowForm(PlainForm):
    """Which case, and the phone that support was told to call."""

    number = NumberField(
        label=_("Ticket No."),
        help_text=_("8 letters and digits, such as R7F3-K229. Capitals and hyphens do not matter."),
        max_length=40,
    )
    phone = PhoneField(
        label=_("Phone to call back"), help_text=_("The one on the ticket. The code goes there.")
    )


class WordForm(PlainForm):
    """One more word on a case."""

    text = forms.CharField(
        label=_("Say something more"),
        help_text=_("Please write no passwords, codes or identity numbers. We cover numbers if you do."),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        validators=[refuse_oddities],
    )
