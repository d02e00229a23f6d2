"""Which proofs an operator's password needs, which of them can be given here, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

SUPERVISOR = "00"
MAINTENANCE = "99"


@dataclass(frozen=True, slots=True)
class Gates:
    """What is needed, whether this journey can give it, and the reason when it cannot."""

    needed: tuple[str, ...]
    open: bool
    reason: str | Promise = ""


# A text message alone never moves these two: one guards refunds and everybody's rights, one the machine.
SECOND_GATE = {
    SUPERVISOR: _("The supervisor password guards refunds and all rights; a text message is not enough."),
    MAINTENANCE: _("The maintenance password opens the machine itself; a text message is not enough."),
}


def for_operator(number: str) -> Gates:
    """The gates of an operator number. Those that need a second proof stay shut until one exists here."""
    reason = SECOND_GATE.get(number)
    if reason is None:
        return Gates(needed=("sms",), open=True)
    return Gates(needed=("sms", "support"), open=False, reason=reason)
