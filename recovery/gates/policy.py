"""A policy above the floors: more proofs, fewer methods; whatever it says, it never makes anything easier."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from recovery.gates.floors import FLOORS, Method, Target


@dataclass(frozen=True, slots=True)
class Policy:
    """Proofs for an ordinary operator and for whatever needs two, and the methods that are not taken."""

    ordinary: int = 1
    strict: int = 2
    shut: frozenset[Method] = frozenset()

    def needs(self, target: Target) -> int:
        """How many proofs a target takes, never below its floor."""
        asked = self.ordinary if target is Target.OPERATOR else self.strict
        return max(asked, FLOORS[target].proofs)


STANDARD = Policy()


def both(policies: Collection[Policy]) -> Policy:
    """The provider's and the merchant's together: of each rule the stricter one."""
    return Policy(
        max((each.ordinary for each in policies), default=STANDARD.ordinary),
        max((each.strict for each in policies), default=STANDARD.strict),
        frozenset().union(*(each.shut for each in policies)),
    )
