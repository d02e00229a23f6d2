"""What the recovery pages ask, and what they take for an answer."""

from __future__ import annotations

import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from portal.forms import CodeForm, PhoneField, PlainForm
from portal.people.forms import LONGEST_MAIL, NumberField, ToField
from recovery.binding import new_token
from recovery.identity import normalise_identifier
from recovery.passwords import PasswordRules
from terminals import ocra, requests
from terminals.policy import Rule

TEXT_BYTES = 6000
MARKS_IN_A_ROW = 8


def refuse_oddities(text: str) -> None:
    """Raise ValidationError for control characters, over 6,000 bytes, and letters buried under marks."""
    if any(unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\r\n\t" for sign in text):
        raise ValidationError(_("Please leave out control characters."), code="control")
    if len(text.encode()) > TEXT_BYTES:
        raise ValidationError(_("This is too long. Please say it in fewer words."), code="long")
    marks = 0
    for sign in text:
        marks = marks + 1 if unicodedata.combining(sign) else 0
        if marks > MARKS_IN_A_ROW:
            raise ValidationError(_("Please use plain letters."), code="marks")


class IdentifyForm(PlainForm):
    """Which shop, and which phone. A wrong shape is an error here; whether it exists is never said."""

    shop = forms.CharField(
        label=_("Merchant number or terminal number"),
        help_text=_("Merchant number: 15 digits. Terminal number: 8. Both are on any card receipt."),
        max_length=64,
    )
    phone = PhoneField(
        label=_("Registered phone"),
        help_text=_("The number you gave when you got the terminal. The code goes there."),
    )
    form = forms.CharField(widget=forms.HiddenInput, max_length=64, required=False, initial=new_token)

    def clean_shop(self) -> str:
        """The number in its one written form."""
        return normalise_identifier(self.cleaned_data["shop"])


class MailboxForm(PlainForm):
    """Which shop, and which mailbox of an owner; whether either exists is never said."""

    shop = forms.CharField(
        label=_("Merchant number or terminal number"),
        help_text=_("Merchant number: 15 digits. Terminal number: 8. Both are on any card receipt."),
        max_length=64,
    )
    email = forms.EmailField(
        label=_("E-mail address"),
        help_text=_("One that you named as the owner. The code goes there."),
        max_length=LONGEST_MAIL,
    )
    form = forms.CharField(widget=forms.HiddenInput, max_length=64, required=False, initial=new_token)

    def clean_shop(self) -> str:
        """The number in its one written form."""
        return normalise_identifier(self.cleaned_data["shop"])

    def clean_email(self) -> str:
        """The domain in small letters, as it is on file."""
        name, _at, domain = self.cleaned_data["email"].rpartition("@")
        return f"{name}@{domain.lower()}"


class ObjectionForm(PlainForm):
    """Which notice, and where it came to."""

    number = NumberField(
        label=_("Number from the message or the receipt"),
        help_text=_("8 letters and digits, such as R7F3-K229. Capitals and hyphens do not matter."),
        max_length=40,
    )
    to = ToField(
        label=_("Where the message came to"),
        help_text=_("Your mobile number or e-mail address. A code goes there, if the shop has it on file."),
        max_length=LONGEST_MAIL,
    )


class UserCodeForm(PlainForm):
    """The code on a terminal's screen. Only its shape is judged here; whether it exists is never said."""

    code = forms.CharField(
        label=_("Code on the terminal's screen"),
        help_text=_("8 letters, such as BCDF-GHJK. Capitals or not makes no difference."),
        max_length=64,
    )

    def clean_code(self) -> str:
        """The eight symbols."""
        code = requests.read_user_code(self.cleaned_data["code"])
        if code is None:
            raise ValidationError(_("The code has 8 letters. Please look at the screen again."), code="shape")
        return code


class PhoneForm(PlainForm):
    """Which phone; the shop follows from the terminal."""

    phone = IdentifyForm.base_fields["phone"]
    form = IdentifyForm.base_fields["form"]


class MatchForm(PlainForm):
    """The two digits beside the QR code. What cannot be two digits is an error and costs no try."""

    number = forms.CharField(label=_("Two digits on the terminal's screen"), max_length=16)

    def clean_number(self) -> str:
        """Two ASCII digits."""
        number = unicodedata.normalize("NFKC", self.cleaned_data["number"]).replace(" ", "")
        if not (len(number) == 2 and number.isascii() and number.isdigit()):
            raise ValidationError(_("The number has 2 digits. This did not cost a try."), code="shape")
        return number


class TerminalForm(PlainForm):
    """One terminal of the list."""

    terminal = forms.CharField(
        label=_("Terminal"), max_length=32, error_messages={"required": _("Choose a terminal.")}
    )


class AboutForm(PlainForm):
    """A form about the terminal and operator that were on the page when it was printed."""

    subject = forms.CharField(widget=forms.HiddenInput, max_length=32, required=False)

    def __init__(self, *args: Any, mark: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mark = mark
        self.initial["subject"] = mark

    def clean(self) -> dict[str, Any]:
        """Refuse a form from a page about something else."""
        cleaned = super().clean()
        if not constant_time_compare(cleaned.get("subject", ""), self.mark):
            # Printed once more, the page is about what is chosen now, and may be sent again as it stands.
            self.data = {**{name: self.data.get(name) for name in self.fields}, "subject": self.mark}
            raise ValidationError(
                _("The choice was changed in another window. Please look at it once more."), code="stale"
            )
        return cleaned


class OperatorForm(AboutForm):
    """One operator of the list."""

    operator = forms.CharField(
        label=_("Operator"), max_length=8, error_messages={"required": _("Choose an operator.")}
    )


class PasswordForm(AboutForm):
    """A new password, twice. It is never printed back, whatever was wrong with it."""

    new_password = forms.CharField(
        label=_("New password"), widget=forms.PasswordInput, strip=False, max_length=64
    )
    again = forms.CharField(label=_("Once more"), widget=forms.PasswordInput, strip=False, max_length=64)

    def __init__(self, *args: Any, rules: PasswordRules, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rules = rules
        self.broken: list[Rule] | None = None

    def clean_new_password(self) -> str:
        """A password that this terminal's rules allow."""
        password: str = self.cleaned_data["new_password"]
        self.broken = self.rules.broken(password)
        if self.broken:
            raise ValidationError(_("Pick another one: the rules below show why."), code="rules")
        return password

    def clean(self) -> dict[str, Any]:
        """Both must be the same."""
        cleaned = super().clean()
        first, second = cleaned.get("new_password"), cleaned.get("again")
        if first and second and not constant_time_compare(first, second):
            self.add_error("again", ValidationError(_("The two are not the same."), code="differ"))
        return cleaned


class WayForm(PlainForm):
    """One way of the list."""

    way = forms.CharField(
        label=_("Way"), max_length=16, error_messages={"required": _("Choose one of the list.")}
    )


class AppCodeForm(CodeForm):
    """The code of an authenticator app, and whose it is when several owners have one."""

    app = forms.ChoiceField(label=_("Whose app is it?"))

    def __init__(self, *args: Any, owners: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["app"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = owners
        if len(owners) == 1:
            field.widget, field.initial = forms.HiddenInput(), owners[0][0]


class QuestionForm(AboutForm):
    """The ten digits on the screen of a terminal without network."""

    question = forms.CharField(
        label=_("10 digits on the terminal's screen"),
        help_text=_("Spaces do not matter."),
        max_length=40,
    )

    def clean_question(self) -> str:
        """Ten digits that were copied right."""
        question = ocra.read_question(self.cleaned_data["question"])
        if question is None:
            raise ValidationError(_("The number has 10 digits."), code="shape")
        if ocra.is_slip(question):
            raise ValidationError(
                _("Check the number: a digit is wrong, or two stand the wrong way round."), code="slip"
            )
        return question


class SupportForm(PlainForm):
    """What happened, and whom to call back."""

    phone = PhoneField(label=_("Phone to call back"), required=False)
    text = forms.CharField(
        label=_("What happened?"),
        help_text=_("Please write no passwords, codes or identity numbers. We cover numbers if you do."),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        validators=[refuse_oddities],
    )

    def __init__(self, *args: Any, known_phone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known_phone = known_phone

    def clean_phone(self) -> str:
        """The phone typed here, else the one of the recovery."""
        phone: str = self.cleaned_data["phone"] or self.known_phone
        if not phone:
            raise ValidationError(_("Tell us which phone to call."), code="required")
        return phone
