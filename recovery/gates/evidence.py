"""What a caller has shown to the support desk: when it reaches the threshold of its target, and never before.

What an agent only states is worth something beside a code that the caller received and typed, and nothing in
its place: who answers the phone at the desk may be talked into anything, or may be the thief.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from recovery.gates.decide import Given, enough
from recovery.gates.floors import CHANNEL, FLOORS, FULL, HALF, NOTHING, Doubt, Method, Target, left


class Stated(StrEnum):
    """What an agent or the acquirer states. What callers know (names, numbers, the last sale) has no name."""

    CALL_BACK = "call_back"
    DOCUMENT = "document"
    IN_PERSON = "in_person"
    ATTESTED = "attested"


# Together they are one proof at most, over the channel of the desk.
WORTH = {Stated.CALL_BACK: HALF, Stated.DOCUMENT: HALF, Stated.IN_PERSON: FULL, Stated.ATTESTED: HALF}


@dataclass(frozen=True, slots=True)
class Said:
    """One thing an agent states, and what is doubted about it."""

    what: Stated
    doubts: frozenset[Doubt] = frozenset()

    def worth(self, target: Target) -> int:
        """All of it or nothing: half of half a proof would be nobody's."""
        sound = all(left(doubt, target) >= FULL for doubt in self.doubts)
        return WORTH[self.what] if sound else NOTHING


def checked(proofs: Collection[Given], said: Collection[Said], target: Target) -> Given:
    """What the agent's own word adds. A call back adds nothing to a code by phone: it is the same phone."""
    by_phone = any(CHANNEL[given.method] == "phone" for given in proofs)
    worths = {each.what: each.worth(target) for each in said}
    if by_phone:
        worths.pop(Stated.CALL_BACK, None)
    return Given(Method.SUPPORT, min(FULL, sum(worths.values())))


def judged(proofs: Collection[Given], said: Collection[Said], target: Target) -> tuple[Given, ...]:
    """The proofs, and `Method.SUPPORT` besides if all of it together reaches the floor of the target."""
    shown = tuple(given for given in proofs if given.method is not Method.SUPPORT)
    everything = (*shown, checked(shown, said, target))
    return everything if enough(everything, target, FLOORS[target].proofs) else shown
