"""Passwords on the machine: kept as hashes, compared, judged, and found to be weak."""

from __future__ import annotations

from collections.abc import Collection

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from terminals.policy import TERMINAL_RULES, Context, Rule, violations
from terminals.protocol import HISTORY
from terminals.simulator.state import TRIES, Operator, State

HISTORY_PROBLEM = "history"
SHARED_PROBLEM = "shared"


class Passwords:
    """What this machine asks of a password."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self.hasher = hasher

    def matches(self, password: str, hashed: str) -> bool:
        """Whether this password made that hash."""
        try:
            return self.hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def problems(
        self, state: State, operator: Operator, password: str, rules: Collection[str] = TERMINAL_RULES
    ) -> list[str]:
        """What is wrong with a new password for this operator; people get more rules than commands."""
        broken = violations(password, state.profile.policy(operator.role), Context())
        problems: list[str] = [rule for rule in broken if rule in rules]
        if problems:
            return problems
        if self.used_before(operator, password):
            problems.append(HISTORY_PROBLEM)
        if self.shared(state, operator.number, password):
            problems.append(SHARED_PROBLEM)
        return problems

    def used_before(self, operator: Operator, password: str) -> bool:
        """Whether it is among the operator's last four."""
        return any(self.matches(password, hashed) for hashed in operator.hashes)

    def shared(self, state: State, number: str, password: str) -> bool:
        """Whether another operator has it."""
        others = (other for other in state.operators.values() if other.number != number)
        return any(self.matches(password, other.hashes[0]) for other in others)

    def weakness(self, state: State, operator: Operator, password: str) -> str | None:
        """The machine's own finding, for the inventory."""
        broken = violations(password, state.profile.policy(operator.role), Context())
        if Rule.FACTORY_DEFAULT in broken:
            return "default"
        if {Rule.COMMON, Rule.REPEATED, Rule.RUN}.intersection(broken):
            return "common"
        return "shared" if self.shared(state, operator.number, password) else None

    def set(self, state: State, operator: Operator, password: str, now: int) -> None:
        """Put it in force; the operator may sign on again."""
        operator.weak = self.weakness(state, operator, password)
        operator.hashes = [self.hasher.hash(password), *operator.hashes][:HISTORY]
        operator.changed_at = now
        operator.tries_left, operator.locked = TRIES, False
