"""What if something is lost: the ways that are then left to a shop, asked of the gates, and what helps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from django.utils import timezone

from portal.models import Merchant
from recovery import doubts
from recovery.gates.decide import Given, Subject, authorize
from recovery.gates.floors import Door, Method, Target
from recovery.gates.policy import Policy
from recovery.policies import BY_ITSELF, policy_of
from recovery.ways import terminals_in_reach, ways_of

MOST = 3  # no rule asks for more proofs than that


class Lost(StrEnum):
    """What is gone on the bad day."""

    PHONE = "phone"
    TILL = "till"
    BOTH = "both"


# Nobody knows on which device an app or a passkey lives, so with the phone they count as gone.
WITH_PHONE = frozenset({Method.SMS, Method.VOICE, Method.TOTP, Method.PASSKEY})
WITH_TILL = frozenset({Method.POSSESSION})
GONE: Mapping[Lost, frozenset[Method]] = {
    Lost.PHONE: WITH_PHONE,
    Lost.TILL: WITH_TILL,
    Lost.BOTH: WITH_PHONE | WITH_TILL,
}
# What an owner can add in a minute, the easiest first; a phone is "added" by confirming it.
ADDED = (Method.SMS, Method.RECOVERY_CODE, Method.EMAIL, Method.CONTACT, Method.TOTP)


@dataclass(frozen=True, slots=True)
class Left:
    """For one operator: every smallest set of proofs that still opens, or what to add so that one does."""

    target: Target
    ways: tuple[tuple[Method, ...], ...]
    missing: tuple[Method, ...]


def what_if(merchant: Merchant, lost: Lost) -> list[Left]:
    """What is left for an ordinary operator and for the supervisor."""
    gone = GONE[lost]
    if lost is not Lost.PHONE and terminals_in_reach(merchant).count() > 1:
        gone = gone - WITH_TILL  # another till stands there
    having = {proof.method: proof for proof in everything_of(merchant) if proof.method not in gone}
    policy = policy_of(merchant)
    return [_left(target, having, gone, policy) for target in BY_ITSELF]


def everything_of(merchant: Merchant) -> list[Given]:
    """Every proof that the shop could give now, with what is doubted about it."""
    proofs = [Given(way.method, doubts=way.doubts) for way in ways_of(merchant) if not way.shut]
    if merchant.phone:
        proofs.insert(0, Given(Method.SMS, doubts=doubts.of_phone(merchant, timezone.now())))
    return proofs


def _left(target: Target, having: Mapping[Method, Given], gone: frozenset[Method], policy: Policy) -> Left:
    found: list[tuple[Method, ...]] = []
    for methods in _sets(having):
        enough = _opens(target, [having[method] for method in methods], policy)
        if enough and not any(set(smaller) <= set(methods) for smaller in found):
            found.append(methods)
    if found:
        return Left(target, tuple(found), ())
    could = [method for method in ADDED if method not in gone]
    more = (added for added in _sets(could) if _opens(target, _with(having, added), policy))
    return Left(target, (), next(more, ()))


def _with(having: Mapping[Method, Given], added: Iterable[Method]) -> list[Given]:
    """What there would be, once what is added counts in full."""
    return list({**having, **{method: Given(method) for method in added}}.values())


def _sets(methods: Iterable[Method]) -> Iterable[tuple[Method, ...]]:
    """All sets of so many methods, the small ones first."""
    every = list(methods)
    return (each for size in range(1, MOST + 1) for each in combinations(every, size))


def _opens(target: Target, proofs: Iterable[Given], policy: Policy) -> bool:
    return authorize(Subject(target, Door.BROWSER, tuple(proofs), policy=policy)).allowed
