"""What no setting can lower: the proofs there are, what each is worth, and what each target needs.

docs/gates.md has the same as tables for people; tests/recovery/test_gates.py says it a third time, by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

NOTHING, HALF, FULL = 0, 1, 2


class Method(StrEnum):
    """How somebody can prove. What numbers of shops, terminals and papers say is no proof: no name here."""

    SMS = "sms"
    VOICE = "voice"
    EMAIL = "email"
    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery_code"
    CONTACT = "contact"
    POSSESSION = "possession"
    SUPPORT = "support"


# Proofs over one channel are one proof: who has the phone gets its texts and its calls.
CHANNEL: Mapping[Method, str] = {
    Method.SMS: "phone",
    Method.VOICE: "phone",
    Method.EMAIL: "email",
    Method.TOTP: "app",
    Method.PASSKEY: "passkey",
    Method.RECOVERY_CODE: "paper",
    Method.CONTACT: "person",
    Method.POSSESSION: "terminal",
    Method.SUPPORT: "desk",
}

# They stand beside a proof and never in its place: paper is found, contacts help, anybody may stand at a
# till, and support knows the voice on the phone no better than a stranger's.
NEVER_ALONE = frozenset({Method.RECOVERY_CODE, Method.CONTACT, Method.POSSESSION, Method.SUPPORT})


class Target(StrEnum):
    """What is to be changed."""

    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    MAINTENANCE = "maintenance"
    CONTACT_CHANGE = "contact_change"


TARGET_OF: Mapping[str, Target] = {"00": Target.SUPERVISOR, "99": Target.MAINTENANCE}


@dataclass(frozen=True, slots=True)
class Floor:
    """How many proofs over as many channels, and whether a second person has to say yes besides."""

    proofs: int
    approval: bool = False


FLOORS: Mapping[Target, Floor] = {
    Target.OPERATOR: Floor(1),
    Target.SUPERVISOR: Floor(2),
    Target.MAINTENANCE: Floor(2, approval=True),
    Target.CONTACT_CHANGE: Floor(2),
}


class Door(StrEnum):
    """Where somebody asks."""

    BROWSER = "browser"
    OWNER = "owner"
    TERMINAL = "terminal"
    OFFLINE = "offline"
    SUPPORT = "support"
    API = "api"


# A machine can prove nothing about a person.
SHUT: frozenset[Door] = frozenset({Door.API})
# What a door asks for besides, whatever the target.
ASKED_AT: Mapping[Door, Method] = {Door.TERMINAL: Method.POSSESSION, Door.SUPPORT: Method.SUPPORT}
# Where a second person can be asked for a yes, and for which targets that is done though the floor does not.
SECOND_PERSON_AT: Mapping[Door, frozenset[Target]] = {
    Door.SUPPORT: frozenset({Target.SUPERVISOR, Target.MAINTENANCE, Target.CONTACT_CHANGE})
}


class Block(StrEnum):
    """What no proof gets past; the first that stands is the one that is told."""

    MERCHANT = "merchant"
    FROZEN = "frozen"
    TERMINAL = "terminal"
    OPERATOR = "operator"


class Doubt(StrEnum):
    """What makes a proof worth less.

    Too many wrong codes for this shop (T12) or everywhere, a phone nobody has confirmed for 90 days (T17), an
    address changed less than 72 hours ago.
    """

    DISTRUSTED = "distrusted"
    EVERYBODY = "everybody"
    STALE = "stale"
    HELD = "held"


# What is left of a full proof, for an ordinary operator and for everything else. A number that nobody
# confirmed for long must not end a shop's morning, so the cashier is let in; it never reaches refunds, the
# machine or the addresses.
LEFT: Mapping[Doubt, tuple[int, int]] = {
    Doubt.DISTRUSTED: (HALF, HALF),
    Doubt.EVERYBODY: (HALF, HALF),
    Doubt.STALE: (FULL, HALF),
    Doubt.HELD: (FULL, NOTHING),
}


def left(doubt: Doubt, target: Target) -> int:
    """The most that a doubted proof counts for a target."""
    ordinary, others = LEFT[doubt]
    return ordinary if target is Target.OPERATOR else others
