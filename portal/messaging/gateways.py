"""What a gateway is, and what its refusals mean in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Action(StrEnum):
    """What a refusal asks of us."""

    RETRY = "retry"  # nothing went out; once more is safe
    BACK_OFF = "back_off"  # once more, but not at once
    UNKNOWN = "unknown"  # it may have gone out; once more with the same code, then leave it
    MARK_NUMBER = "mark_number"  # this number cannot be reached; offer another way
    STOP = "stop"  # once more would fail the same way


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a gateway is handed: whom to reach, the words, and what they were made of.

    A provider with registered templates takes `template`, `locale` and `values` in place of the text, and one
    whose reports come in heaps gets `reference` back in them. No part that tells something is in its repr.
    """

    to: str = field(repr=False)
    text: str = field(repr=False)
    template: str = ""
    locale: str = "en"
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    subject: str = ""
    callback_url: str = field(default="", repr=False)
    reference: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message; that is not yet delivery."""

    provider_id: str


class GatewayError(Exception):
    """A refusal: the provider's (or our) code and the action it asks for. Holds neither text nor phone."""

    def __init__(self, code: str, action: Action) -> None:
        super().__init__(code)
        self.code = code
        self.action = action

    @property
    def words(self) -> str | Promise:
        """What to tell staff."""
        return words_for(self.code)


class Gateway(Protocol):
    """Something that can carry words to a person by one channel."""

    name: str

    def send(self, parcel: Parcel) -> Accepted:
        """Hand over one parcel, once. Raises GatewayError."""
        ...


LANDLINE = _("This is a landline; it cannot receive texts.")

# Twilio's codes as its public error dictionary describes them, and our own for what happens on the way.
MEANINGS: dict[str, tuple[Action, str | Promise]] = {
    "20003": (Action.STOP, _("The provider does not accept our account. Check the credentials.")),
    "20429": (Action.BACK_OFF, _("The provider asks us to slow down.")),
    "21211": (Action.MARK_NUMBER, _("This is not a number that can receive texts.")),
    "21408": (Action.STOP, _("Texts to this country are not switched on.")),
    "21610": (Action.MARK_NUMBER, _("The owner of this phone has opted out of our texts.")),
    "21614": (Action.MARK_NUMBER, LANDLINE),
    "21635": (Action.MARK_NUMBER, LANDLINE),
    "30003": (Action.RETRY, _("The phone is switched off or out of reach.")),
    "30005": (Action.MARK_NUMBER, _("This number does not exist.")),
    "30006": (Action.MARK_NUMBER, LANDLINE),
    "30007": (Action.STOP, _("The carrier filtered the message.")),
    "30008": (Action.RETRY, _("The carrier could not deliver it and does not say why.")),
    "busy": (Action.RETRY, _("The line was busy.")),
    "no-answer": (Action.RETRY, _("Nobody answered the call.")),
    "mailbox": (Action.MARK_NUMBER, _("There is no such mailbox.")),
    "unreachable": (Action.RETRY, _("The provider could not be reached.")),
    "timeout": (Action.UNKNOWN, _("The provider did not answer in time; the text may still arrive.")),
    "server": (Action.UNKNOWN, _("The provider had a fault; the text may still arrive.")),
    "garbled": (Action.UNKNOWN, _("The provider's answer could not be read; the text may still arrive.")),
    "budget": (Action.STOP, _("The day's money for texts is spent.")),
    "dial_code": (Action.STOP, _("Texts to this country are not switched on.")),
    "stale": (Action.STOP, _("It waited too long and was not sent, so that no old code arrives.")),
    "lost": (Action.UNKNOWN, _("The worker stopped while sending; the text may still arrive.")),
}


def error_for(code: str) -> GatewayError:
    """The error of a provider code; a code we do not know stops rather than repeats."""
    action = MEANINGS[code][0] if code in MEANINGS else Action.STOP
    return GatewayError(code, action)


def words_for(code: str) -> str | Promise:
    """A sentence about this code for staff; empty for none."""
    if not code:
        return ""
    return MEANINGS[code][1] if code in MEANINGS else _("The provider refused the message.")
