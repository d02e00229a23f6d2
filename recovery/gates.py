"""Which proofs an operator's password needs, which of them are given, and what is missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

SUPERVISOR = "00"
MAINTENANCE = "99"

# The proofs there are: a code from the registered phone, the match number from the terminal's own screen,
# and the yes of a second person at the support desk.
SMS = "sms"
POSSESSION = "possession"
APPROVAL = "approval"

# A text message alone never moves these two: one guards refunds and everybody's rights, one the machine.
# Phone and terminal are two things in two places; whoever has both is let through to the supervisor, whose
# floor is two independent proofs. Maintenance needs a second person besides.
NEEDED: Mapping[str, tuple[str, ...]] = {
    SUPERVISOR: (SMS, POSSESSION),
    MAINTENANCE: (SMS, POSSESSION, APPROVAL),
}
REASONS: Mapping[str, str | Promise] = {
    SUPERVISOR: _("The supervisor password guards refunds and all rights; a text message is not enough."),
    MAINTENANCE: _("The maintenance password opens the machine itself; a text message is not enough."),
}


@dataclass(frozen=True, slots=True)
class Gates:
    """What is needed, what of it is missing, and why so much is asked."""

    needed: tuple[str, ...]
    missing: tuple[str, ...]
    reason: str | Promise = ""

    @property
    def open(self) -> bool:
        """Whether every proof is given."""
        return not self.missing

    @property
    def opens_at_terminal(self) -> bool:
        """Whether all that is missing can be proved by starting at the terminal."""
        return self.missing == (POSSESSION,)


def for_operator(number: str, given: Collection[str] = (SMS,)) -> Gates:
    """The gates of an operator number for somebody who has given these proofs."""
    needed = NEEDED.get(number, (SMS,))
    missing = tuple(proof for proof in needed if proof not in given)
    return Gates(needed, missing, REASONS.get(number, ""))
