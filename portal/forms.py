"""What sign-in asks, and the one way a phone number is read."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from phonenumber_field.formfields import PhoneNumberField
from phonenumbers import PhoneNumberType, number_type

from portal import dialling, paper
from portal.codes import normalise_code
from portal.messaging.carriers import in_use
from portal.models import Channel

# As people and phones write them: full-width signs, any kind of space or dash, and the marks of direction
# that address books wrap around a copied number.
FULL_WIDTH = str.maketrans("０１２３４５６７８９＋－（）", "0123456789+-()")  # fmt: skip
WRAPPERS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
SEPARATORS = re.compile("[ \u00a0\u2007\u2009\u202f\u3000()\u2010-\u2015-]")
MOBILE = re.compile(r"(?:\+86|0086|86)?(1[0-9]{10})")
# Dialled from anywhere, and not ours, whose numbers have one written form.
ABROAD = re.compile(r"\+(?!86)[1-9][0-9]{6,14}")
# Where both share one kind of number (North America), nobody can tell.
MOBILE_TYPES = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
LONGEST = 40
LOCAL_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
LONGEST_PATH = 500


class PhoneField(PhoneNumberField):
    """A mobile number of mainland China, however it was written; cleans to E.164 or "".

    Texts cost money and go abroad only where somebody has decided so: other dial codes that are open
    (REKEY_DIAL_CODES) are typed with their plus, and all others are refused.
    """

    default_error_messages = {
        "invalid": _("Type the 11 digits of a mobile number, such as 138 0013 8000."),
        "landline": _("This number cannot receive texts. Type a mobile number."),
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(region="CN", **kwargs)

    def to_python(self, value: Any) -> str:
        """The number in E.164. Raises ValidationError."""
        text = str(value or "").strip().strip(WRAPPERS).translate(FULL_WIDTH)
        if not text:
            return ""
        plain = SEPARATORS.sub("", text) if len(text) <= LONGEST else ""
        found = MOBILE.fullmatch(plain)
        if found is None and not (ABROAD.fullmatch(plain) and dialling.is_open(plain)):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        number = super().to_python("+86" + found[1] if found else plain)
        if not number.is_valid():
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        if number_type(number) not in MOBILE_TYPES:
            raise ValidationError(self.error_messages["landline"], code="landline")
        return str(number.as_e164)


class PlainForm(forms.Form):
    """A form that takes each of its fields once: a repeated key has no honest meaning."""

    def clean(self) -> dict[str, Any]:
        """Refuse repeated keys."""
        if isinstance(self.data, QueryDict) and any(len(self.data.getlist(name)) > 1 for name in self.fields):
            raise ValidationError(_("The form arrived twice in one. Please send it again."), code="repeated")
        return super().clean() or self.cleaned_data


def local_path(text: str) -> str:
    """The text when it is a path on this site and nothing else, otherwise empty."""
    short = len(text) <= LONGEST_PATH and LOCAL_PATH.fullmatch(text)
    return text if short and url_has_allowed_host_and_scheme(text, allowed_hosts=None) else ""


class LocalPathField(forms.CharField):
    """Where to go afterwards. Whatever leads to no page of ours counts as nothing, never as an error."""

    def clean(self, value: Any) -> str:
        """A local path or ""."""
        return local_path(str(value or ""))


class SignInForm(PlainForm):
    """Page one: who, and the password, which is never printed back."""

    username = forms.CharField(
        label=_("User name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "username"})
    )
    password = forms.CharField(
        label=_("Password"),
        help_text=_("Your Rekey password, not the one at the till."),
        max_length=256,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    next = LocalPathField(required=False, widget=forms.HiddenInput)


class CodeForm(PlainForm):
    """Page two: the six digits. What cannot be a code is an error and costs no try."""

    code = forms.CharField(
        label=_("Code"),
        max_length=64,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
        ),
    )

    def clean_code(self) -> str:
        """Six ASCII digits."""
        code = normalise_code(self.cleaned_data["code"])
        if code is None:
            raise ValidationError(_("The code has 6 digits. This did not cost a try."), code="shape")
        return code


class PaperForm(PlainForm):
    """A recovery code from paper. What cannot be one is told as a slip and spends nothing."""

    code = forms.CharField(
        label=_("Recovery code"),
        help_text=_(
            "16 letters and digits, such as ABCD-EFGH-JKMN-PQRV. Capitals and hyphens do not matter."
        ),
        max_length=200,
    )

    def clean_code(self) -> str:
        """The sixteen symbols."""
        try:
            return paper.read(self.cleaned_data["code"])
        except paper.Slip as slip:
            raise ValidationError(SLIPS[slip.reason], code=slip.reason) from slip


SLIPS = {
    "length": _("The code has 16 letters and digits. This did not cost a code."),
    "letter": _("There is a letter or sign that no code has. Please look at the paper again."),
    "sum": _("Check the code: a letter is wrong, or two stand the wrong way round."),
}


class PasskeyForm(PlainForm):
    """What an authenticator signed, as the browser's script sends it."""

    response = forms.CharField(max_length=16_384, widget=forms.HiddenInput)
    next = LocalPathField(required=False, widget=forms.HiddenInput)


class NameForm(PlainForm):
    """What a passkey is called."""

    name = forms.CharField(
        label=_("Name"), max_length=40, help_text=_("Where it lives, such as: my phone, the office computer.")
    )


class NewPasskeyForm(PasskeyForm, NameForm):
    """A new passkey and its name; without a name nothing is made, so there is nothing to miss."""

    response = forms.CharField(max_length=16_384, required=False, widget=forms.HiddenInput)


class TrialForm(PlainForm):
    """One message to try a gateway with: which, and where it goes."""

    way = forms.ChoiceField(label=_("Gateway"))
    phone = PhoneField(label=_("Phone"), required=False)
    email = forms.EmailField(label=_("E-mail address"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["way"].choices = [  # type: ignore[attr-defined]
            (f"{channel}:{name}", f"{Channel(channel).label}: {name}") for channel, name in in_use()
        ]

    @property
    def address(self) -> str:
        """Where it goes, once the form is valid."""
        by_mail = self.cleaned_data["way"].startswith(f"{Channel.EMAIL}:")
        return str(self.cleaned_data["email" if by_mail else "phone"])

    def clean(self) -> dict[str, Any]:
        """There has to be an address of the kind that the channel needs."""
        typed = super().clean()
        if "way" in typed and not self.errors and not self.address:
            by_mail = typed["way"].startswith(f"{Channel.EMAIL}:")
            self.add_error("email" if by_mail else "phone", _("Say where it should go."))
        return typed
