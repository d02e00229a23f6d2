"""What owners fill in about their terminals."""

from __future__ import annotations

import unicodedata
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.models import Merchant, Store
from terminals.models import Terminal, TerminalModel


class PlateField(forms.CharField):
    """A number copied from the sticker: capitals, without spaces, full-width signs forgiven."""

    def to_python(self, value: Any) -> str:
        """The number as it is stored."""
        text = str(super().to_python(value) or "")
        return "".join(unicodedata.normalize("NFKC", text).split()).upper()


class TerminalForm(forms.ModelForm[Terminal]):
    """Name and store; the stores on offer are the merchant's own."""

    store = forms.ModelChoiceField(
        queryset=Store.objects.none(),
        empty_label=None,
        label=_("Store"),
        error_messages={"invalid_choice": _("Choose one of your stores.")},
    )

    class Meta:
        model = Terminal
        fields = ["name", "store"]
        labels = {"name": _("Name")}
        help_texts = {"name": _("As you call it in the shop, such as “Front desk”.")}

    def __init__(self, merchant: Merchant, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stores = self.fields["store"]
        assert isinstance(stores, forms.ModelChoiceField)
        stores.queryset = Store.objects.filter(merchant=merchant)


TAKEN = {"unique": _("This terminal is registered already. Check the number, or contact support.")}


class NewTerminalForm(TerminalForm):
    """A terminal that is to be paired next."""

    model = forms.ModelChoiceField(
        queryset=TerminalModel.objects.order_by("vendor", "name"), empty_label=None, label=_("Model")
    )
    number = PlateField(
        max_length=40,
        label=_("Terminal number"),
        help_text=_("8 letters or digits, also on every card receipt."),
        error_messages=TAKEN,
    )
    serial = PlateField(
        max_length=64,
        label=_("Serial number"),
        help_text=_("On the sticker, often beside “S/N”."),
        error_messages=TAKEN,
    )

    class Meta(TerminalForm.Meta):
        fields = ["name", "store", "model", "number", "serial"]
