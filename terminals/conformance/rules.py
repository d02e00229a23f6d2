"""What a rule of the protocol is to the kit, and how a run of rules is judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar

# Headings of docs/terminal-protocol.md; a test compares.
GROUND: Final = "Ground rules"
PAIRING: Final = "Pairing"
WHO: Final = "Who is asking"
POLL: Final = "Asking for work"
COMMAND: Final = "A command"
RECEIPTS: Final = "Receipts"
INVENTORY: Final = "Inventory"
KEYS: Final = "Issuer keys"
RECOVERY: Final = "A reset that starts at the terminal"
OFFLINE: Final = "Unlocking without a network"
GUARDED: Final = "Guarded commands"
SECTIONS: Final = (GROUND, PAIRING, WHO, POLL, COMMAND, RECEIPTS, INVENTORY, KEYS, RECOVERY, OFFLINE, GUARDED)

PASSED: Final = "passed"
FAILED: Final = "failed"
NOT_RUN: Final = "not run"
Outcome = Literal["passed", "failed", "not run"]
Bench = TypeVar("Bench")


class Broken(Exception):
    """The other side broke the rule: what it was sent, what was expected of it, and what came."""

    def __init__(self, sent: str, expected: str, came: str) -> None:
        super().__init__(f"{sent} | {expected} | {came}")
        self.sent = sent
        self.expected = expected
        self.came = came


class CannotTell(Exception):
    """The rule cannot be tried here; the text says what would be needed."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[Bench]):
    """One sentence of the protocol and how to try it."""

    id: str
    section: str
    says: str
    attempt: Callable[[Bench], None]
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one rule."""

    id: str
    section: str
    says: str
    outcome: Outcome
    seconds: float = 0.0
    why: str = ""
    sent: str = ""
    expected: str = ""
    came: str = ""

    def plain(self) -> dict[str, Any]:
        """For machines; empty members are left out."""
        members = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in members.items() if value not in ("", None)}


@dataclass(slots=True)
class Book(Generic[Bench]):
    """Rules in the order in which they are tried."""

    rules: list[Rule[Bench]] = field(default_factory=list)

    def rule(
        self, id: str, section: str, says: str, *, slow: bool = False
    ) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
        """Enter the decorated attempt; it raises Broken or CannotTell, or the rule has passed."""

        def enter(attempt: Callable[[Bench], None]) -> Callable[[Bench], None]:
            self.rules.append(Rule(id, section, says, attempt, slow))
            return attempt

        return enter


def run(
    rules: Iterable[Rule[Bench]],
    bench: Bench,
    *,
    only: Collection[str] = (),
    skip_slow: bool = False,
    told: Callable[[Verdict], None] = lambda verdict: None,
    between: Callable[[], None] = lambda: None,
) -> list[Verdict]:
    """Try each rule; `only` names those whose result is wanted (all are tried that are not slow).

    `told` is given each verdict as it comes, and `between` is called after each rule.
    """
    verdicts = []
    for rule in rules:
        if rule.slow and skip_slow and rule.id not in only:
            verdict = _verdict(rule, NOT_RUN, why="it takes long; run it without --quick")
        else:
            verdict = _tried(rule, bench)
            between()
        told(verdict)
        verdicts.append(verdict)
    return verdicts


def _tried(rule: Rule[Bench], bench: Bench) -> Verdict:
    begun = time.monotonic()
    try:
        rule.attempt(bench)
    except CannotTell as reason:
        return _verdict(rule, NOT_RUN, why=str(reason))
    except Broken as broken:
        return _failed(rule, time.monotonic() - begun, broken)
    except Exception as odd:  # noqa: BLE001 - whatever a stranger sends must end in a line of the table
        strange = Broken("as the rule says", "something that can be read", f"{type(odd).__name__}: {odd}")
        return _failed(rule, time.monotonic() - begun, strange)
    return _verdict(rule, PASSED, seconds=time.monotonic() - begun)


def _failed(rule: Rule[Bench], seconds: float, broken: Broken) -> Verdict:
    told = {"sent": broken.sent, "expected": broken.expected, "came": broken.came}
    return Verdict(rule.id, rule.section, rule.says, FAILED, round(seconds, 2), **told)


def _verdict(rule: Rule[Bench], outcome: Outcome, *, seconds: float = 0.0, **more: str) -> Verdict:
    return Verdict(rule.id, rule.section, rule.says, outcome, round(seconds, 2), **more)


def shortened(value: object, most: int = 300) -> str:
    """A value for a person to read, not longer than so many characters."""
    text = value if isinstance(value, str) else repr(dict(value) if isinstance(value, Mapping) else value)
    return text if len(text) <= most else f"{text[: most - 20]} … ({len(text)} characters)"
