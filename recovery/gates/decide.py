"""The one decision: what stands against it, which proofs count, and which further ones would open."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from recovery.gates import floors
from recovery.gates.floors import (
    CHANNEL,
    FULL,
    HALF,
    NEVER_ALONE,
    NOTHING,
    Block,
    Door,
    Doubt,
    Method,
    Target,
)
from recovery.gates.policy import STANDARD, Policy


@dataclass(frozen=True, slots=True)
class Given:
    """A proof that was given: half or full, and what is doubted about it now."""

    method: Method
    strength: int = FULL
    doubts: frozenset[Doubt] = frozenset()

    def worth(self, target: Target) -> int:
        """What is left of it for this target."""
        return min((self.strength, *(floors.left(doubt, target) for doubt in self.doubts)))


@dataclass(frozen=True, slots=True)
class Way:
    """A way to prove: open, or shut with a reason and perhaps the time when it opens."""

    method: Method
    shut: str = ""
    opens_at: datetime | None = None
    doubts: frozenset[Doubt] = frozenset()


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything that is known when somebody asks for something."""

    target: Target
    door: Door
    proofs: tuple[Given, ...] = ()
    blocks: frozenset[Block] = frozenset()
    ways: tuple[Way, ...] = ()
    policy: Policy = STANDARD
    # Whether a second person has said yes; it counts only at doors where one can be asked.
    approved: bool = False


class Verdict(StrEnum):
    """Yes; more proof first; a second person first; no."""

    ALLOWED = "allowed"
    PROOF = "proof"
    APPROVAL = "approval"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, its reason, what is doubted about the proofs, and the ways that are left."""

    verdict: Verdict
    reason: str = ""
    doubts: frozenset[Doubt] = frozenset()
    open: tuple[Way, ...] = ()
    shut: tuple[Way, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether it may be done now."""
        return self.verdict is Verdict.ALLOWED

    @property
    def is_open(self) -> bool:
        """Whether further proofs could still lead to a yes."""
        return self.allowed or bool(self.open)


def authorize(subject: Subject) -> Decision:
    """Decide. It knows nothing but the subject, and nobody else decides."""
    if subject.door in floors.SHUT:
        return Decision(Verdict.REFUSED, "door")
    for block in Block:
        if block in subject.blocks:
            return Decision(Verdict.REFUSED, block)
    asked = floors.ASKED_AT.get(subject.door)
    if asked is not None and asked not in {given.method for given in subject.proofs}:
        return Decision(Verdict.PROOF, asked)
    asks_second = subject.target in floors.SECOND_PERSON_AT.get(subject.door, ())
    if floors.FLOORS[subject.target].approval and not asks_second:
        return Decision(Verdict.APPROVAL, "approval")
    counted = [given for given in subject.proofs if given.method not in subject.policy.shut]
    if enough(counted, subject.target, subject.policy.needs(subject.target)):
        waits = asks_second and not subject.approved
        return Decision(Verdict.APPROVAL, "approval") if waits else Decision(Verdict.ALLOWED)
    doubted = {doubt for given in counted for doubt in given.doubts}
    doubts = frozenset(doubt for doubt in doubted if floors.left(doubt, subject.target) < FULL)
    ways = [_judged(way, counted, subject) for way in subject.ways]
    still_open, shut = (tuple(way for way in ways if bool(way.shut) is shut) for shut in (False, True))
    return Decision(Verdict.PROOF, "proof", doubts, still_open, shut)


def enough(counted: Collection[Given], target: Target, needed: int) -> bool:
    """Two halves make the one that is needed; where two are, only full ones count. One stands by itself."""
    by_itself = max(
        (given.worth(target) for given in counted if given.method not in NEVER_ALONE), default=NOTHING
    )
    worths = [_worth_of(channel, counted, target) for channel in set(CHANNEL.values())]
    if needed == 1:
        return by_itself >= HALF and sum(worths) >= FULL
    return by_itself >= FULL and sum(worth >= FULL for worth in worths) >= needed


def _worth_of(channel: str, counted: Collection[Given], target: Target) -> int:
    """What a channel is worth, however often it was used."""
    used = (given.worth(target) for given in counted if CHANNEL[given.method] == channel)
    return max(used, default=NOTHING)


def _judged(way: Way, counted: Collection[Given], subject: Subject) -> Way:
    """The way, shut with a reason unless it would add something."""
    if way.method in subject.policy.shut:
        return replace(way, shut="policy", opens_at=None)
    so_far = _worth_of(CHANNEL[way.method], counted, subject.target)
    if so_far >= FULL:
        return replace(way, shut="given", opens_at=None)
    if not way.shut and Given(way.method, FULL, way.doubts).worth(subject.target) <= so_far:
        return replace(way, shut=min(way.doubts, key=lambda doubt: floors.left(doubt, subject.target)))
    return way
