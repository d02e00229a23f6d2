"""What staff fill in to send a command, and to end or clear something: never without a reason."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from terminals import commands
from terminals.models import Command, Terminal
from terminals.protocol import IDLE_MAX, MESSAGE_MAX

Kind = Command.Kind
SENT_BY_HAND = (Kind.LOCK, Kind.UNLOCK, Kind.MESSAGE, Kind.REBOOT, Kind.FACTORY_RESET)
REASON_MAX = 200


class ReasonForm(forms.Form):
    """Why a person does this; it stays on record."""

    why = forms.CharField(label=_("Reason"), max_length=REASON_MAX, strip=True)


class OrderForm(ReasonForm):
    """A command for one terminal, or for one operator on it."""

    kind = forms.ChoiceField(label=_("Command"), choices=[(kind.value, kind.label) for kind in SENT_BY_HAND])
    operator = forms.ChoiceField(label=_("For"), required=False)
    text = forms.CharField(label=_("Text for the idle screen"), max_length=MESSAGE_MAX, required=False)
    minutes = forms.IntegerField(
        label=_("Restart at the latest after (minutes)"),
        min_value=0,
        max_value=IDLE_MAX // 60,
        required=False,
        help_text=_("Empty: it waits until no sale is running."),
    )
    field_order = ("kind", "operator", "text", "minutes", "why")

    def __init__(self, terminal: Terminal, data: Any = None) -> None:
        super().__init__(data)
        people = [(one.number, f"{one.number} {one.name}") for one in terminal.operators.all()]
        field = self.fields["operator"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("the whole terminal")), *people]

    def clean(self) -> dict[str, Any]:
        """A message needs a text that a terminal can show."""
        cleaned = super().clean() or {}
        if cleaned.get("kind") == Kind.MESSAGE and not commands.is_message(cleaned.get("text", "")):
            self.add_error("text", _("A message needs one line of text."))
        return cleaned

    def order(self) -> dict[str, Any]:
        """The arguments of `commands.issue`."""
        kind, minutes = self.cleaned_data["kind"], self.cleaned_data["minutes"]
        args: dict[str, Any] = {}
        if kind == Kind.MESSAGE:
            args = {"text": self.cleaned_data["text"]}
        elif kind == Kind.REBOOT and minutes is not None:
            args = {"idle_max": minutes * 60}
        for_one = kind in (Kind.LOCK, Kind.UNLOCK)
        return {
            "kind": kind,
            "operator_number": self.cleaned_data["operator"] if for_one else "",
            "args": args,
            "why": self.cleaned_data["why"],
        }
