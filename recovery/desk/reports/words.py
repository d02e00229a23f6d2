"""What the lines of the reports are called: steps of a journey, and why one ended where it did."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from recovery import phases, presence
from recovery.desk.reports.shape import Text
from recovery.desk.ticket_page import STUCK
from recovery.unlocking import ANSWERED

STEPS: Mapping[str, Text] = {
    "started": _("Began"),
    "known": _("Named a shop and its phone"),
    "proved": _("Proved it"),
    "chosen": _("Chose an operator"),
    "sent": _("Sent the reset on its way"),
    "restored": _("In force at the terminal"),
    "signed_on": _("Operator signed on"),
}
WHY: Mapping[str, Text] = {
    "going": _("still going on"),
    "unknown": _("no shop has this number and phone"),
    "burned": _("five wrong codes"),
    "wrong": _("wrong codes, then nothing"),
    "unsent": _("the code did not arrive"),
    "silent": _("no code was typed"),
    "refused": _("more proof was asked for"),
    "left": _("went away"),
    "remembered": _("remembered the operator number"),
    ANSWERED: _("unlocked without a network"),
    presence.DENIED: _("said that nobody of theirs stands there"),
    presence.BURNED: _("wrong numbers from the terminal's screen"),
    presence.RAN_OUT: _("the terminal's screen ran out"),
}
CASES: Mapping[str, Text] = {
    **STUCK,
    "tamper": _("A terminal was opened by force"),
    "guard": _("Something that concerns everybody"),
    "not_me": _("“This wasn't me”"),
    "veto": _("A change was undone"),
}


def why(reason: str) -> Text:
    """Why a journey ended, in words; the command's own reason where it ended at the terminal."""
    if reason in WHY:
        return WHY[reason]
    if reason in phases.WHY:
        return _(phases.WHY[reason])
    phase = phases.ENDED_BY.get(reason, reason)
    return _(phases.WORDS[phase][0]) if phase in phases.WORDS else reason


def case(step: str) -> Text:
    """Where somebody got stuck; what opened the case where nobody did."""
    return CASES.get(step, step) or _("not said")
