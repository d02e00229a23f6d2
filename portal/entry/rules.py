"""What lets somebody without a sign-in into an account: floors as data, and one pure decision (T33, T36).

docs/gates.md has the same as a table for people; tests/portal/test_entry_rules.py says it a third time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Target(StrEnum):
    """What somebody wants: a first account, a new password, or to be rid of a lost second factor."""

    JOIN = "join"
    PASSWORD = "password"  # noqa: S105 - the name of a door
    FACTOR = "factor"


class Proof(StrEnum):
    """What can be proved here. Text and mail go to addresses on file, never to one that is typed."""

    INVITATION = "invitation"
    PASSWORD = "password"  # noqa: S105 - the name of a proof
    APP = "app"
    PASSKEY = "passkey"
    TEXT = "text"
    EMAIL = "email"
    PAPER = "paper"
    CONTACT = "contact"


class Block(StrEnum):
    """What no proof gets past; the first that stands is the one that is told."""

    MERCHANT = "merchant"
    FROZEN = "frozen"


class Doubt(StrEnum):
    """Why a text to the registered phone counts nothing now.

    It was replaced within 72 hours; nobody has confirmed it for 90 days; too many wrong codes were typed for
    this shop, or everywhere.
    """

    HELD = "held"
    STALE = "stale"
    DISTRUSTED = "distrusted"
    EVERYBODY = "everybody"


# Nobody guesses an invitation, and who was handed one is no stranger with an old number.
DOUBTS: Mapping[Target, frozenset[Doubt]] = {
    Target.JOIN: frozenset({Doubt.HELD}),
    Target.PASSWORD: frozenset(Doubt),
    Target.FACTOR: frozenset(Doubt),
}

# One of each group. A lost second factor takes the phone in any case, for the next sign-in is by text.
NEEDS: Mapping[Target, tuple[frozenset[Proof], ...]] = {
    Target.JOIN: (frozenset({Proof.INVITATION}), frozenset({Proof.TEXT})),
    Target.PASSWORD: (
        frozenset({Proof.APP, Proof.PASSKEY}),
        frozenset({Proof.TEXT, Proof.EMAIL, Proof.PAPER, Proof.CONTACT}),
    ),
    Target.FACTOR: (
        frozenset({Proof.PASSWORD}),
        frozenset({Proof.TEXT}),
        frozenset({Proof.EMAIL, Proof.PAPER, Proof.CONTACT}),
    ),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that is known when somebody asks: what was proved, and what the shop has.

    `ways` are the proofs that can be given at all; `doubts` are about the phone.
    """

    target: Target
    given: frozenset[Proof] = frozenset()
    ways: frozenset[Proof] = frozenset()
    doubts: frozenset[Doubt] = frozenset()
    blocks: frozenset[Block] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no; what stands against it; which proofs would help; whether they can ever be enough."""

    allowed: bool
    block: Block | None = None
    doubt: Doubt | None = None
    open: frozenset[Proof] = frozenset()
    possible: bool = False


def decide(standing: Standing) -> Decision:
    """The one decision about accounts. Nothing is known to it but the standing."""
    for block in Block:
        if block in standing.blocks:
            return Decision(False, block)
    doubt = next((doubt for doubt in Doubt if doubt in standing.doubts & DOUBTS[standing.target]), None)
    nothing = frozenset({Proof.TEXT}) if doubt else frozenset[Proof]()
    counted, usable = standing.given - nothing, standing.ways - nothing
    missing = [group for group in NEEDS[standing.target] if not group & counted]
    still = frozenset[Proof]().union(*(group & usable for group in missing))
    return Decision(not missing, None, doubt, still, all(group & usable for group in missing))
