"""What a gateway is, and what its refusals mean in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal.messaging.meanings import MEANINGS, OUR_OWN, OURS, OUTAGES, REASONS, Action


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
    def is_outage(self) -> bool:
        """Whether it says something of the gateway, and not of this one message."""
        return self.code in OUTAGES or self.action in (Action.RETRY, Action.BACK_OFF, Action.UNKNOWN)

    @property
    def another_may(self) -> bool:
        """Whether another gateway may still carry the message."""
        return self.action is not Action.MARK_NUMBER and self.code not in OUR_OWN

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


def error_for(code: str) -> GatewayError:
    """The error of a provider code; a code we do not know stops rather than repeats."""
    action = MEANINGS[code][0] if code in MEANINGS else Action.STOP
    return GatewayError(code, action)


def words_for(code: str) -> str | Promise:
    """A sentence about this code for staff; empty for none."""
    if not code:
        return ""
    return MEANINGS[code][1] if code in MEANINGS else _("The provider refused the message.")


def reason_for(code: str) -> str | Promise:
    """Why something did not arrive, for the person who waits for it: half a sentence."""
    return REASONS.get(code, OURS)
