"""What the pages ask somebody who cannot sign in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from portal import paper
from portal.forms import SLIPS, PlainForm
from portal.models import User

SHORTEST_NAME = 3
LONGEST_NAME = 40
LONGEST_PASSWORD = 256


class InvitationForm(PlainForm):
    """The code of an invitation. What cannot be one is told as a slip, whatever there is."""

    code = forms.CharField(
        label=_("Invitation code"),
        help_text=_("16 letters and digits in four groups. Capitals and hyphens do not matter."),
        max_length=200,
    )

    def clean_code(self) -> str:
        """The sixteen symbols."""
        try:
            return paper.read(self.cleaned_data["code"])
        except paper.Slip as slip:
            raise ValidationError(SLIPS_HERE[slip.reason], code=slip.reason) from slip


SLIPS_HERE = {
    "length": _("The code has 16 letters and digits."),
    "letter": _("There is a letter or sign that no code has. Please look at it again."),
    "sum": SLIPS["sum"],
}


class AccountNameForm(PlainForm):
    """Whose account it is."""

    username = forms.CharField(label=_("User name"), max_length=150)


class ProofForm(PlainForm):
    """One way of the list: `text`, `paper`, or `email:` and `contact:` with an address."""

    way = forms.CharField(
        label=_("Way"), max_length=40, error_messages={"required": _("Choose one of the list.")}
    )


class NewPasswordForm(PlainForm):
    """A password twice, judged for the person it is to be."""

    new_password = forms.CharField(
        label=_("New password"),
        help_text=_("At least 12 signs. Four words that have nothing to do with each other are fine."),
        max_length=LONGEST_PASSWORD,
        strip=False,
    )
    again = forms.CharField(label=_("The same once more"), max_length=LONGEST_PASSWORD, strip=False)

    def __init__(self, *args: Any, person: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.person = person

    def clean(self) -> dict[str, Any]:
        """Both are the same, and good enough for this person and shop."""
        typed = super().clean()
        password, again = typed.get("new_password"), typed.get("again")
        if not password:
            return typed
        try:
            validate_password(password, self.person)
        except ValidationError as refusal:
            # One reason at a time: the first is the one to mend.
            self.add_error("new_password", refusal.error_list[0])
            return typed
        if again and password != again:
            self.add_error("again", ValidationError(_("The two are not the same."), code="different"))
        return typed


class AccountForm(NewPasswordForm):
    """The name and the password of a new account."""

    username = forms.CharField(
        label=_("User name"),
        help_text=_("You type it each time you sign in. Your name or a nickname, without spaces."),
        min_length=SHORTEST_NAME,
        max_length=LONGEST_NAME,
        validators=[User.username_validator],
    )
    field_order = ("username", "new_password", "again")

    def clean_username(self) -> str:
        """As it will be stored; the password is judged with it."""
        self.person.username = User.normalize_username(self.cleaned_data["username"])
        return self.person.username
