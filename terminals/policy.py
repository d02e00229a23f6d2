"""What a terminal's password must look like, as rules with stable names."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final, Literal

Keypad = Literal["digits", "full"]


class Rule(StrEnum):
    """The rules in the order in which they are shown."""

    LENGTH = "length"
    CHARSET = "charset"
    FACTORY_DEFAULT = "factory_default"
    REPEATED = "repeated"
    RUN = "run"
    DATE = "date"
    DERIVED = "derived"
    COMMON = "common"


# What a terminal itself enforces (protocol §4); it also keeps the history and compares operators.
TERMINAL_RULES: Final = frozenset({Rule.LENGTH, Rule.CHARSET, Rule.FACTORY_DEFAULT})

# Chosen by people far more often than chance, and not caught by the rules of form below.
COMMON: Final = frozenset(
    """
    1004 1314 2580 0852 1590 7410 3690 5200 5201 5210 9420 1688 5188 6688 8866 8899 6699 1122 2233 1133
    112233 223344 445566 778899 123123 321321 456456 789789 147258 258369 147147 258258 159753 159357
    741852 963852 147852 789456 456123 520131 201314 131420 521314 520134 110119 110120 168168 518518
    520520 521521 666888 888666 123321 321123 654123 100200 100001 11223344 12341234 88886666 66668888
    password passw0rd admin123 qwerty qwerty123 abc123 abcd1234 a123456 aa123456 woaini woaini1314 iloveyou
    """.split()
)

_CHARSET: Final[Mapping[str, re.Pattern[str]]] = {
    "digits": re.compile(r"[0-9]+"),
    "full": re.compile(r"[!-~]+"),
}
_DERIVED_MIN: Final = 4
_YEARS: Final = range(1930, 2040)


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What one role on one model of terminal allows."""

    keypad: Keypad
    min_length: int
    max_length: int
    factory_defaults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What others know about the shop, and what a password must therefore not be taken from."""

    merchant_number: str = ""
    terminal_number: str = ""
    serial: str = ""
    phone_digits: str = ""

    def known(self) -> tuple[str, ...]:
        """The non-empty facts."""
        facts = (self.merchant_number, self.terminal_number, self.serial, self.phone_digits)
        return tuple(fact for fact in facts if fact)


@dataclass(frozen=True, slots=True)
class ShownRule:
    """A rule for the page, with the data a script needs to mirror it; `live` says whether it can."""

    rule: Rule
    live: bool
    data: Mapping[str, str | int | tuple[str, ...]]


def violations(password: str, policy: PasswordPolicy, context: Context) -> list[Rule]:
    """The rules this password breaks, in the order of `Rule`; an empty list means it is allowed."""
    return [rule for rule in Rule if _BROKEN[rule](password, policy, context)]


def rules_for(policy: PasswordPolicy) -> tuple[ShownRule, ...]:
    """All rules in order. The page never gets the phone number, so `derived` and `common` are not live."""
    data: dict[Rule, Mapping[str, str | int | tuple[str, ...]]] = {
        Rule.LENGTH: {"min": policy.min_length, "max": policy.max_length},
        Rule.CHARSET: {"keypad": policy.keypad},
        Rule.FACTORY_DEFAULT: {"defaults": policy.factory_defaults},
    }
    return tuple(
        ShownRule(rule, rule not in (Rule.DERIVED, Rule.COMMON), data.get(rule, {})) for rule in Rule
    )


def _length(password: str, policy: PasswordPolicy, _context: Context) -> bool:
    return not policy.min_length <= len(password) <= policy.max_length


def _charset(password: str, policy: PasswordPolicy, _context: Context) -> bool:
    return _CHARSET[policy.keypad].fullmatch(password) is None


def _factory_default(password: str, policy: PasswordPolicy, _context: Context) -> bool:
    return password in policy.factory_defaults


def _repeated(password: str, _policy: PasswordPolicy, _context: Context) -> bool:
    return len(password) > 1 and password == (password[:2] * len(password))[: len(password)]


def _run(password: str, _policy: PasswordPolicy, _context: Context) -> bool:
    if len(password) < 3 or _CHARSET["digits"].fullmatch(password) is None:
        return False
    digits = [int(digit) for digit in password]
    steps = {(after - before) % 10 for before, after in pairwise(digits)}
    return steps in ({1}, {9})


def _date(password: str, _policy: PasswordPolicy, _context: Context) -> bool:
    if _CHARSET["digits"].fullmatch(password) is None:
        return False
    if len(password) == 4:
        month_day = _is_date(2000, password[:2], password[2:]) or _is_date(2000, password[2:], password[:2])
        return month_day or int(password) in _YEARS
    if len(password) == 6:
        return _is_date(2000 + int(password[:2]), password[2:4], password[4:])
    year, month, day = password[:4], password[4:6], password[6:]
    return len(password) == 8 and int(year) in _YEARS and _is_date(int(year), month, day)


def _is_date(year: int, month: str, day: str) -> bool:
    try:
        datetime.date(year, int(month), int(day))
    except ValueError:
        return False
    return True


def _derived(password: str, _policy: PasswordPolicy, context: Context) -> bool:
    if len(password) < _DERIVED_MIN:
        return False
    folded = password.casefold()
    for fact in context.known():
        forms = {fact.casefold(), re.sub(r"[^0-9]", "", fact)}
        if any(folded in form or (len(form) >= _DERIVED_MIN and form in folded) for form in forms):
            return True
    return False


def _common(password: str, _policy: PasswordPolicy, _context: Context) -> bool:
    return password.casefold() in COMMON


_BROKEN: Final[Mapping[Rule, Callable[[str, PasswordPolicy, Context], bool]]] = {
    Rule.LENGTH: _length,
    Rule.CHARSET: _charset,
    Rule.FACTORY_DEFAULT: _factory_default,
    Rule.REPEATED: _repeated,
    Rule.RUN: _run,
    Rule.DATE: _date,
    Rule.DERIVED: _derived,
    Rule.COMMON: _common,
}
