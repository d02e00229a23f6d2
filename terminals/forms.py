"""What owners fill in about their terminals."""

from __future__ import annotations

import unicodedata
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.forms import PlainForm
from portal.models import Merchant, Store
from terminals.models import Terminal, TerminalModel


class PlateField(forms.CharField):
    """A number copied from the sticker: capitals, without spaces, full-width signs forgiven."""

    def to_python(self, value: Any) -> str:
        """The number as it is stored."""
        text = str(super().to_python(value) or "")
        return "".join(unicodedata.normalize("NFKC", text).split()).upper()


class TerminalForm(PlainForm, forms.ModelForm[Terminal]):
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


REASONS = (
    (Terminal.StopReason.LOST, _("I cannot find it"), _("If it turns up, support can let it in again.")),
    (
        Terminal.StopReason.STOLEN,
        _("It was stolen"),
        _("It is also told to lock itself, and has to be paired anew if it ever comes back."),
    ),
    (
        Terminal.StopReason.TAMPER,
        _("Somebody has opened it"),
        _("Do not use it any more, and keep it for the technician."),
    ),
    (Terminal.StopReason.OTHER, _("Another reason"), _("It is broken, sold, or not needed any more.")),
)


class StopForm(PlainForm):
    """Why a terminal is to be stopped; what follows depends on it."""

    reason = forms.ChoiceField(
        label=_("What happened?"),
        choices=[(value, title) for value, title, _more in REASONS],
        widget=forms.RadioSelect,
        error_messages={"required": _("Say what happened."), "invalid_choice": _("Say what happened.")},
    )

    def rows(self) -> list[dict[str, Any]]:
        """The choices as the page prints them."""
        chosen = self["reason"].value()
        return [
            {"value": value, "checked": value == chosen, "title": title, "more": more}
            for value, title, more in REASONS
        ]


class SwapForm(PlainForm):
    """The machine that takes a terminal's place: what its sticker says."""

    model = forms.ModelChoiceField(
        queryset=TerminalModel.objects.order_by("vendor", "name"), empty_label=None, label=_("Model")
    )
    number = PlateField(
        max_length=40,
        label=_("Terminal number"),
        help_text=_("Of the new machine: 8 letters or digits."),
        validators=Terminal._meta.get_field("number").validators[:1],
    )
    serial = PlateField(
        max_length=64,
        label=_("Serial number"),
        help_text=_("On the sticker, often beside “S/N”."),
        validators=Terminal._meta.get_field("serial").validators[:1],
    )

    def unit(self, old: Terminal) -> Terminal:
        """The new machine in the old one's place: a row that waits for it already, or a new one."""
        typed = self.cleaned_data
        known = Terminal.objects.filter(number=typed["number"], serial=typed["serial"]).first()
        unit = known or Terminal(number=typed["number"], serial=typed["serial"])
        if known is None:
            unit.model = typed["model"]
        unit.name, unit.store, unit.power = old.name, old.store, old.power
        return unit


SWAP_REFUSALS = {
    "over": _("This terminal has been replaced already."),
    "same": _("These are the numbers of the old terminal. Type those of the new one."),
    "taken": TAKEN["unique"],
    "in_use": _("The new machine is in use already. Contact support."),
}
