"""What a merchant types to read a case, and to answer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from portal.forms import PhoneField, PlainForm
from portal.people.forms import NumberField
from recovery.desk.pictures import NoPicture, Picture, redraw
from recovery.forms import refuse_oddities


class PictureField(forms.FileField):
    """A photo; cleans to what was drawn anew, or None."""

    def clean(self, data: Any, initial: Any = None) -> Picture | None:
        """The picture. Raises ValidationError for whatever is none, or too large."""
        if not isinstance(data, UploadedFile) or not data.size:
            return None
        try:
            return redraw(data.read())
        except NoPicture as error:
            raise ValidationError(
                _("This is no JPEG or PNG that we can read, or it is larger than 4 MB."), code="picture"
            ) from error


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
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        validators=[refuse_oddities],
    )
    photo = PictureField(
        label=_("A photo, if it helps"),
        help_text=_("JPEG or PNG, 4 MB at most. Drawn anew without place and time, kept for 30 days."),
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        """Words or a photo."""
        typed = super().clean()
        if not self.errors and not typed.get("text") and typed.get("photo") is None:
            self.add_error("text", ValidationError(_("Write something first."), code="required"))
        return typed
