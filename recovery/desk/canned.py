"""Prepared answers: what their words in braces stand for, and the text with all of them filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from recovery.desk import words
from recovery.models import CannedReply, Ticket

WORD = re.compile(r"\{([^{}]*)\}")
CHINESE, ENGLISH = "zh-hans", "en"
MEANINGS: Mapping[str, str | Promise] = {
    "merchant": gettext_lazy("the shop's name, once it is proved"),
    "number": gettext_lazy("the ticket's number"),
    "terminal": gettext_lazy("name and number of the terminal"),
    "phone": gettext_lazy("the phone to call back, its middle hidden"),
    "words": gettext_lazy("the two words of today"),
    "hotline": gettext_lazy("the hotline"),
}


def unknown_in(text: str) -> list[str]:
    """The words in braces that stand for nothing."""
    return [word for word in WORD.findall(text) if word not in MEANINGS]


def filled(reply: CannedReply, ticket: Ticket, language: str) -> str:
    """The answer in a language, with what is known of the ticket."""
    text = reply.text_zh if language == CHINESE else reply.text_en
    with override(language):
        known = _known_of(ticket, language)
    return WORD.sub(lambda found: known.get(found[1], found[0]), text)


def _known_of(ticket: Ticket, language: str) -> dict[str, str]:
    terminal = ticket.stuck_terminal
    return {
        "merchant": ticket.merchant.legal_name if ticket.merchant is not None else _("your shop"),
        "number": ticket.number,
        "terminal": f"{terminal.name} {terminal.number}" if terminal is not None else _("your terminal"),
        "phone": ticket.masked_phone,
        "words": words.of_ticket(ticket.number, language),
        "hotline": settings.REKEY_HOTLINE,
    }
