"""How a terminal is and what it needs, in plain words for its owner and for support (protocol §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.templatetags.rekey import when
from terminals import comparison
from terminals.inventory import reported
from terminals.models import Operator, Terminal, TerminalStatus

LOW_BATTERY = 15
NETWORKS: Mapping[str, str | Promise] = {
    "ethernet": gettext_lazy("cable"),
    "wifi": gettext_lazy("Wi-Fi"),
    "cellular": gettext_lazy("mobile network"),
}
Words = Callable[[Mapping[str, Any]], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Concern:
    """What is not as it should be, what to do about it, and where, if that is a page of ours."""

    tone: Literal["wait", "stop"]
    text: str
    advice: str
    action: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """What needs care, the worst first, and the plain facts."""

    concerns: tuple[Concern, ...]
    facts: tuple[dict[str, Any], ...]

    @property
    def milder(self) -> list[Concern]:
        """Those that can wait."""
        return [concern for concern in self.concerns if concern.tone == "wait"]


def condition(terminal: Terminal, now: datetime) -> Condition:
    """How the terminal is, by what it last said; a terminal that is not in use has no concerns."""
    told = reported(terminal, now)
    found: list[Concern] = []
    if terminal.tampered_at is not None:
        found.append(_opened(terminal))
    if terminal.state == Terminal.State.ACTIVE:
        status = getattr(terminal, "status", None)
        found += [*_machine(terminal, status), *_operators(terminal, told), *_passwords(terminal, told)]
    return Condition(tuple(found), tuple(facts(terminal)))


def in_short(terminal: Terminal) -> list[str]:
    """What belongs on the owner's first page, a line each; the terminal's own page tells the rest."""
    facts = {"terminal": terminal.name}
    if terminal.tampered_at is not None:
        return [_("%(terminal)s reports that it was opened by force") % facts]
    status = getattr(terminal, "status", None)
    weak = comparison.weak(status.inventory.get("operators", ())) if status else {}
    if weak.keys() & {"common", "shared"}:
        return [_("Some passwords on %(terminal)s are easily guessed") % facts]
    return []


def _opened(terminal: Terminal) -> Concern:
    return Concern(
        "stop",
        _("This terminal reports that it was opened by force"),
        _("Since %(when)s nothing is sent to it. Do not take payments with it; support has a ticket for it.")
        % {"when": when(terminal.tampered_at)},
    )


def _machine(terminal: Terminal, status: TerminalStatus | None) -> Iterator[Concern]:
    if not comparison.supports(terminal.model.supported_firmware, terminal.firmware or "?"):
        yield Concern(
            "wait",
            _("Firmware %(firmware)s is no longer supported") % {"firmware": terminal.firmware or "–"},
            _("Support arranges the update. Until then everything goes on as before."),
        )
    battery = status.battery if status else None
    if battery is not None and battery <= LOW_BATTERY and not (status and status.charging):
        yield Concern(
            "wait",
            _("The battery is at %(percent)d %%") % {"percent": battery},
            _("Put it on its charger, or it will soon stop answering."),
        )


# --- operators here and there -----------------------------------------------------------------------------

DIFFERENT: Mapping[str, Words] = {
    "unknown": lambda facts: (
        _("Operator %(number)s is on this terminal, but not in the list here") % facts,
        _(
            "If you know who it is, ask support to add the number. If not, somebody added it:"
            " change the supervisor password at the terminal."
        ),
    ),
    "missing": lambda facts: (
        _("%(number)s %(name)s is in the list here, but not on this terminal") % facts,
        _("A new password cannot reach this number until the supervisor adds it at the terminal."),
    ),
    "role": lambda facts: (
        _("%(number)s has other rights on this terminal than in the list here: %(role)s") % facts,
        _("If that is not your doing, change the supervisor password at the terminal and call support."),
    ),
    "unlocked": lambda facts: (
        _("%(number)s %(name)s was locked from here, and can sign on at this terminal all the same") % facts,
        _("Somebody unlocked the number at the terminal. Lock it again, or ask your supervisor."),
    ),
}


def _operators(terminal: Terminal, told: Mapping[str, Mapping[str, Any]]) -> Iterator[Concern]:
    if not told:
        return
    names = {operator.number: operator.name for operator in terminal.operators.all()}
    for what, numbers in comparison.differences(terminal, told.values()).items():
        for number in numbers:
            role = told[number]["role"] if number in told else ""
            facts = {"number": number, "name": names.get(number, ""), "role": _role(role)}
            yield Concern("wait", *DIFFERENT[what](facts))


def _role(role: str) -> str:
    return str(Operator.Role(role).label) if role else ""


# --- passwords that are easily guessed --------------------------------------------------------------------

WEAK: Mapping[str, Words] = {
    "default": lambda facts: (
        _("%(number)s %(name)s still has the factory password") % facts,
        _("Everybody who has read the manual knows it. Choose another one."),
    ),
    "common": lambda facts: (
        _("The password of %(number)s %(name)s is one that many people use") % facts,
        _("It is among the first that a stranger would try. Choose another one."),
    ),
    "shared": lambda facts: (
        _("%(number)s %(name)s has the same password as another operator here") % facts,
        _("Then nobody can tell later who did what. Choose another one for one of them."),
    ),
}


def _passwords(terminal: Terminal, told: Mapping[str, Mapping[str, Any]]) -> Iterator[Concern]:
    listed = {operator.number: operator for operator in terminal.operators.all()}
    for what, numbers in comparison.weak(told.values()).items():
        for number in numbers:
            operator = listed.get(number)
            facts = {"number": number, "name": operator.name if operator else ""}
            text, advice = WEAK[what](facts)
            yield Concern("wait", " ".join(text.split()), advice, *_way(terminal, operator))


def _way(terminal: Terminal, operator: Operator | None) -> tuple[str, str]:
    """Where to set another password; supervisor and maintenance change theirs at the terminal."""
    if operator is None or operator.role != Operator.Role.ORDINARY or terminal.tampered_at is not None:
        return "", ""
    address = reverse("recovery:start_signed_in", args=[terminal.pk, operator.number])
    return _("Set another password for %(number)s") % {"number": operator.number}, address


# --- plain facts ------------------------------------------------------------------------------------------


def facts(terminal: Terminal) -> list[dict[str, Any]]:
    """Battery, network, firmware and the like; what is not known is left out."""
    status = getattr(terminal, "status", None) or TerminalStatus(terminal=terminal)
    lines: Sequence[tuple[str, str, bool]] = (
        (_("Battery"), _battery(status), True),
        (_("Network"), str(NETWORKS.get(status.network, "")), False),
        (_("Firmware"), terminal.firmware, True),
        (_("Application"), status.app, True),
        (_("Takings not settled yet"), _yes_or_no(status.unsettled_batch), False),
    )
    return [{"label": label, "value": value, "num": num} for label, value, num in lines if value]


def _battery(status: TerminalStatus) -> str:
    if status.battery is None:
        return ""
    return f"{status.battery} %" + (f" {_('charging')}" if status.charging else "")


def _yes_or_no(fact: bool | None) -> str:
    if fact is None:
        return ""
    return _("yes") if fact else _("no")
