"""What the pages about addresses ask."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from portal.codes import read_number
from portal.forms import PhoneField, PlainForm
from portal.models import Address

LONGEST_MAIL = 120


class ToField(forms.CharField):
    """A mobile number or an e-mail address; cleans to the kind and the value in its one written form."""

    def clean(self, value: Any) -> tuple[str, str]:
        """Kind and value. Raises ValidationError."""
        text = super().clean(value).strip()
        if "@" in text:
            mail = forms.EmailField(max_length=LONGEST_MAIL).clean(text)
            name, _at, domain = mail.rpartition("@")
            return Address.Kind.EMAIL, f"{name}@{domain.lower()}"
        return Address.Kind.PHONE, str(PhoneField().clean(text))


class ToForm(PlainForm):
    """The new number or address."""

    to = ToField(
        label=_("Mobile number or e-mail address"),
        help_text=_("A code goes there now; have it at hand."),
        max_length=LONGEST_MAIL,
    )

    def __init__(self, *args: Any, kind: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        if kind:
            self.fields["to"].label = LABELS[Address.Kind(kind)]

    def clean_to(self) -> tuple[str, str]:
        """The same kind as what it replaces."""
        kind, value = self.cleaned_data["to"]
        if self.kind and kind != self.kind:
            raise ValidationError(WRONG_KIND[Address.Kind(self.kind)], code="kind")
        return kind, value


LABELS = {Address.Kind.PHONE: _("New mobile number"), Address.Kind.EMAIL: _("New e-mail address")}
WRONG_KIND = {
    Address.Kind.PHONE: _("Type a mobile number here."),
    Address.Kind.EMAIL: _("Type an e-mail address here."),
}


class NumberField(forms.CharField):
    """A number that a notice told; cleans to its one written form."""

    def clean(self, value: Any) -> str:
        """Such as C7F3-K229. Raises ValidationError."""
        number = read_number(super().clean(value))
        if number is None:
            raise ValidationError(_("The number has 8 letters and digits, such as C7F3-K229."), code="shape")
        return number


class VetoForm(PlainForm):
    """The number from the notice about a change."""

    number = NumberField(
        label=_("Number from the message"),
        help_text=_("8 letters and digits, such as C7F3-K229. Capitals and hyphens do not matter."),
        max_length=40,
    )


class NewAddressForm(ToForm):
    """A further address: whose it is, and where the code goes."""

    holder = forms.ChoiceField(
        label=_("Whose is it?"),
        choices=[
            (Address.Holder.OWNER, _("mine")),
            (Address.Holder.CONTACT, _("of somebody I trust")),
        ],
    )
    name = forms.CharField(
        label=_("Name"),
        help_text=_("For example: second phone, Wang Fang."),
        max_length=40,
    )
    field_order = ("holder", "name", "to")
