"""The keys of a ticket's page: what each does with what was typed, and what the agent is told then."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal.models import User
from recovery.desk import canned, casework, conversation, tickets
from recovery.models import Ticket

Typed = dict[str, Any]
Told = str | Promise
Key = Callable[[Ticket, User, Typed], Told]
Call = casework.Call


def _take(ticket: Ticket, agent: User, typed: Typed) -> Told:
    took = tickets.assign(ticket, agent)
    return _("This case is yours.") if took else _("Somebody has this case already.")


def _number(ticket: Ticket, agent: User, typed: Typed) -> Told:
    return tickets.call_back_number(ticket, agent) or _("Take the case first; then you see the number.")


def _close(ticket: Ticket, agent: User, typed: Typed) -> Told:
    if not tickets.close(ticket, agent, version=typed["version"]):
        raise tickets.Stale
    return _("The case is closed.")


def _reopen(ticket: Ticket, agent: User, typed: Typed) -> Told:
    casework.reopen(ticket, agent, version=typed["version"])
    return _("The case is open again.")


def _merge(ticket: Ticket, agent: User, typed: Typed) -> Told:
    if not typed["into"]:
        raise ValidationError({"into": _("Type the number of the ticket that goes on.")})
    try:
        into = casework.merge(ticket, agent, typed["into"], version=typed["version"])
    except casework.NotOne as refusal:
        raise ValidationError({"into": str(refusal)}) from refusal
    return _("Ticket %(number)s goes on in its place.") % {"number": into.number}


def _hand_over(ticket: Ticket, agent: User, typed: Typed) -> Told:
    if typed["to"] is None:
        raise ValidationError({"to": _("Choose who takes it over.")})
    tickets.hand_over(ticket, agent, typed["to"], version=typed["version"], note=typed["text"])
    return _("The case was handed over.")


def _reply(ticket: Ticket, agent: User, typed: Typed) -> Told:
    told = conversation.answer(ticket, agent, _text(typed), version=typed["version"])
    return _("Your answer is kept, and a text tells of it.") if told else _("Your answer is kept.")


def _note(ticket: Ticket, agent: User, typed: Typed) -> Told:
    tickets.reply(ticket, agent, _text(typed), version=typed["version"], internal=True)
    return _("Your note is kept.")


def _called(how: Call, ticket: Ticket, agent: User, typed: Typed) -> Told:
    casework.log_call(ticket, agent, how, typed["text"], version=typed["version"])
    return _("The call is noted.")


def _text(typed: Typed) -> str:
    if not typed["text"]:
        raise ValidationError({"text": _("Write something first.")})
    return str(typed["text"])


KEYS: dict[str, Key] = {
    "_take": _take,
    "_number": _number,
    "_close": _close,
    "_reopen": _reopen,
    "_merge": _merge,
    "_hand_over": _hand_over,
    "_reply": _reply,
    "_note": _note,
    **{f"_call_{how.value}": partial(_called, how) for how in Call},
}
# Keys that only fill the box, and the language they fill it in.
INSERTS = {"_insert_zh": canned.CHINESE, "_insert_en": canned.ENGLISH}


def inserted(ticket: Ticket, typed: Typed, language: str) -> str:
    """What was typed, with the chosen answer below it. Raises ValidationError."""
    if typed["canned"] is None:
        raise ValidationError({"canned": _("Choose an answer first.")})
    return "\n\n".join(filter(None, (typed["text"], canned.filled(typed["canned"], ticket, language))))
