"""What a new password must look like for one operator on one terminal, and how a page says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from recovery.models import Recovery
from terminals.models import Operator, Terminal
from terminals.policy import Context, Keypad, PasswordPolicy, Rule, ShownRule, rules_for, violations

TEXTS: Mapping[Rule, str | Promise] = {
    Rule.FACTORY_DEFAULT: _("Not a factory password"),
    Rule.REPEATED: _("Not one digit or pair over and over"),
    Rule.RUN: _("Not a run such as 1234"),
    Rule.DATE: _("Not a date or a year"),
    Rule.DERIVED: _("Not taken from the phone, terminal or merchant number"),
    Rule.COMMON: _("Not one of the most used passwords"),
}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule for the page: its words, "yes", "no" or "" for not judged, and data for a script."""

    rule: str
    text: str | Promise
    state: str
    live: bool
    data: Mapping[str, str | int | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """The rules of one operator on one terminal."""

    policy: PasswordPolicy
    context: Context

    def broken(self, password: str) -> list[Rule]:
        """The rules that this password breaks."""
        return violations(password, self.policy, self.context)

    def lines(self, broken: list[Rule] | None = None) -> list[RuleLine]:
        """The rules in words; judged when the broken ones are given, which an empty list also is."""
        return [
            RuleLine(shown.rule, self._text(shown.rule), _state(shown, broken), shown.live, shown.data)
            for shown in rules_for(self.policy)
        ]

    def _text(self, rule: Rule) -> str | Promise:
        if rule == Rule.CHARSET:
            digits = self.policy.keypad == "digits"
            return _("Digits only") if digits else _("Letters, digits and signs of an English keyboard")
        if rule == Rule.LENGTH:
            return self._length()
        return TEXTS[rule]

    def _length(self) -> str:
        if self.policy.min_length == self.policy.max_length:
            return str(_("Exactly %(length)d characters") % {"length": self.policy.min_length})
        span = {"least": self.policy.min_length, "most": self.policy.max_length}
        return str(_("%(least)d to %(most)d characters") % span)


def _state(shown: ShownRule, broken: list[Rule] | None) -> str:
    # A ticked "not among the most used" beside 1234, which another rule refuses, would be false comfort.
    if broken is None or (broken and not shown.live and shown.rule not in broken):
        return ""
    return "no" if shown.rule in broken else "yes"


def rules_of(recovery: Recovery, terminal: Terminal, operator: Operator) -> PasswordRules:
    """The rules for the operator that a recovery is about."""
    model = terminal.model
    lengths = {
        Operator.Role.ORDINARY: (model.ordinary_min, model.ordinary_max),
        Operator.Role.SUPERVISOR: (model.supervisor_min, model.supervisor_max),
        Operator.Role.MAINTENANCE: (model.maintenance_min, model.maintenance_max),
    }
    least, most = lengths[Operator.Role(operator.role)]
    merchant = recovery.merchant
    return PasswordRules(
        PasswordPolicy(cast("Keypad", model.keypad), least, most, tuple(model.factory_defaults)),
        Context(
            merchant_number=merchant.number if merchant else "",
            terminal_number=terminal.number,
            serial=terminal.serial,
            phone_digits=(merchant.phone if merchant else "").removeprefix("+86").removeprefix("+"),
        ),
    )
