"""What an owner's pages say of terminals and operators: read from rows, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from portal.models import Merchant
from portal.templatetags.rekey import when
from terminals import condition
from terminals.health import Health, judge, newer
from terminals.inventory import reported
from terminals.models import Operator, Terminal
from terminals.polling import seen

State = Terminal.State
UNPAIRED = frozenset({State.NEW, State.UNCONFIRMED})
# Below this many tries left it is worth saying.
FEW_TRIES = 3
GONE_FOR = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class OperatorLine:
    """One operator on one terminal: the row, and what the terminal last said of the same number."""

    number: str
    name: str
    role: str | Promise
    last_signed_on_at: datetime | None
    age_days: int | None
    state: str
    tries_left: int | None
    can_reset: bool
    extra_proof: bool


@dataclass(frozen=True, slots=True)
class TerminalLine:
    """One terminal with its health and its operators."""

    terminal: Terminal
    health: Health
    lines: list[OperatorLine]

    @property
    def operators(self) -> int:
        """How many there are."""
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class Trouble:
    """An operator who cannot sign on, and why."""

    operator: OperatorLine
    terminal: Terminal
    why: str


@dataclass(frozen=True, slots=True)
class Duty:
    """Something the owner should do: what is the matter, and the one step."""

    text: str
    action: str
    url: str


def terminals_of(merchant: Merchant) -> QuerySet[Terminal]:
    """The merchant's terminals with all that the pages print of them; nobody else's."""
    mine = Terminal.objects.filter(store__merchant=merchant).select_related(
        "store__merchant", "model", "status", "replaced_by"
    )
    return mine.prefetch_related("operators").order_by("store__name", "name")


def terminal_lines(terminals: Iterable[Terminal], now: datetime) -> list[TerminalLine]:
    """The terminals with health and operators, without a query for each."""
    shown = list(terminals)
    latest = seen.latest([terminal.pk for terminal in shown])
    return [
        TerminalLine(terminal, _health(terminal, latest, now), operator_lines(terminal, now))
        for terminal in shown
    ]


def health_of(terminal: Terminal, now: datetime) -> Health:
    """`health.health` for a terminal whose status row is at hand already."""
    return _health(terminal, seen.latest([terminal.pk]), now)


def _health(terminal: Terminal, latest: dict[str, seen.Seen], now: datetime) -> Health:
    status = getattr(terminal, "status", None)
    return judge(terminal, newer(terminal, status.last_seen_at if status else None, latest), now)


def operator_lines(terminal: Terminal, now: datetime) -> list[OperatorLine]:
    """Operators we know and operators the terminal reports, by number."""
    known = {operator.number: operator for operator in terminal.operators.all()}
    told = reported(terminal, now)
    return [
        _operator_line(terminal, number, known.get(number), told.get(number))
        for number in sorted({*known, *told})
    ]


def _operator_line(
    terminal: Terminal, number: str, row: Operator | None, told: Mapping[str, Any] | None
) -> OperatorLine:
    role = row.role if row else (told or {}).get("role", Operator.Role.ORDINARY)
    ordinary = role == Operator.Role.ORDINARY
    return OperatorLine(
        number=number,
        name=row.name if row else _("known to the terminal only"),
        role=Operator.Role(role).label,
        last_signed_on_at=row.last_signed_on_at if row else None,
        age_days=told["age_days"] if told else None,
        state=_operator_state(told),
        tries_left=told["tries_left"] if told else None,
        can_reset=row is not None and ordinary and _takes_resets(terminal),
        extra_proof=row is not None and not ordinary,
    )


def _takes_resets(terminal: Terminal) -> bool:
    return terminal.state == State.ACTIVE and terminal.tampered_at is None


def _operator_state(told: Mapping[str, Any] | None) -> str:
    """`ok`, `locked`, `tries` (few are left), `factory` or `unknown`."""
    if told is None:
        return "unknown"
    if told["locked"] or told["tries_left"] == 0:
        return "locked"
    if told["tries_left"] < FEW_TRIES:
        return "tries"
    return "factory" if told["weak"] == "default" else "ok"


def cannot_sign_on(lines: Iterable[TerminalLine]) -> list[Trouble]:
    """Operators whom their terminal has locked."""
    return [
        Trouble(operator, line.terminal, _("locked"))
        for line in lines
        if line.terminal.state == State.ACTIVE
        for operator in line.lines
        if operator.state == "locked"
    ]


def duties(lines: Iterable[TerminalLine]) -> list[Duty]:
    """What the owner should do this week, terminal by terminal."""
    found: list[Duty] = []
    for line in lines:
        found += _duties_of(line)
    return found


def _duties_of(line: TerminalLine) -> list[Duty]:
    terminal, seen_at = line.terminal, line.health.last_seen_at
    facts = {"terminal": terminal.name}
    if terminal.state in UNPAIRED:
        text = _("%(terminal)s is not paired yet") % facts
        return [Duty(text, _("Pair %(terminal)s") % facts, reverse("terminals:pair", args=[terminal.pk]))]
    if terminal.state != State.ACTIVE:
        return []
    found = [_look_at(terminal, text) for text in condition.in_short(terminal)]
    found += [_factory_password(terminal, operator) for operator in line.lines if operator.state == "factory"]
    if line.health.kind == "off" and seen_at is not None and timezone.now() - seen_at > GONE_FOR:
        text = _("%(terminal)s has not connected since %(when)s") % {**facts, "when": when(seen_at)}
        found.append(_look_at(terminal, text))
    return found


def _look_at(terminal: Terminal, text: str) -> Duty:
    url = reverse("terminals:terminal", args=[terminal.pk])
    return Duty(text, _("Look at %(terminal)s") % {"terminal": terminal.name}, url)


def _factory_password(terminal: Terminal, operator: OperatorLine) -> Duty:
    facts = {"number": operator.number, "name": operator.name, "terminal": terminal.name}
    return Duty(
        _("%(number)s %(name)s on %(terminal)s still has the factory password") % facts,
        _("Replace it"),
        reverse("recovery:start_signed_in", args=[terminal.pk, operator.number]),
    )


def facts_of(terminal: Terminal) -> list[dict[str, Any]]:
    """The lines under "About this terminal"; what is not known is left out."""
    facts: list[tuple[str, str, bool]] = [
        (_("Terminal number"), terminal.number, True),
        (_("Model"), str(terminal.model), False),
        (_("Serial number"), terminal.serial, True),
        (_("Store"), terminal.store.name, False),
        (_("Paired"), when(terminal.activated_at), False),
    ]
    known = [{"label": label, "value": value, "num": num} for label, value, num in facts if value]
    return known + condition.facts(terminal)
