"""Resets and other events of a shop in plain words, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from portal.audit import Tag
from portal.models import AuditEvent, Merchant
from portal.templatetags.rekey import duration
from terminals.commands import CLEARED
from terminals.models import Command, Operator, Terminal
from terminals.protocol import OPEN, SET_CREDENTIAL, UNLOCK

State = Command.State
RESETS = (SET_CREDENTIAL, UNLOCK)
# Looked at for one page of events; more would only be cut off again.
LATEST = 20

ENDED: Mapping[str, str] = {
    State.REJECTED: gettext_noop("%(terminal)s refused the new password of %(operator)s"),
    State.EXPIRED: gettext_noop("The reset of %(operator)s on %(terminal)s has run out"),
    State.CANCELLED: gettext_noop("The reset of %(operator)s on %(terminal)s was withdrawn"),
    State.SUPERSEDED: gettext_noop("The reset of %(operator)s on %(terminal)s was replaced by a newer one"),
}
# Ends that have a cause of their own, whatever the state is called.
BECAUSE: Mapping[str, str] = {
    "key_changed": gettext_noop(
        "%(terminal)s was paired anew: the password of %(operator)s must be set once more"
    ),
    "swapped": gettext_noop("%(terminal)s was replaced: the password of %(operator)s must be set once more"),
    "quarantined": gettext_noop("%(terminal)s was stopped, and the reset of %(operator)s with it"),
    CLEARED: gettext_noop("Support ended the reset of %(operator)s on %(terminal)s"),
}
AUDITED: Mapping[str, str] = {
    Tag.TERMINAL_ADDED: gettext_noop("%(terminal)s was added"),
    Tag.TERMINAL_CHANGED: gettext_noop("%(terminal)s was renamed or moved"),
    Tag.TERMINAL_STOPPED: gettext_noop("%(terminal)s was stopped"),
    Tag.TERMINAL_RELEASED: gettext_noop("%(terminal)s was let in again"),
    Tag.TERMINAL_REVOKED: gettext_noop("%(terminal)s was shut out for good"),
    Tag.TERMINAL_SWAPPED: gettext_noop("A new machine was put in the place of %(terminal)s"),
    Tag.PAIRING_ISSUED: gettext_noop("A pairing code for %(terminal)s was shown"),
    Tag.PAIRING_REVOKED: gettext_noop("The pairing code of %(terminal)s was withdrawn"),
    Tag.PAIRING_BURNED: gettext_noop("Wrong pairing codes were tried for %(terminal)s; the code was stopped"),
    Tag.PAIRED: gettext_noop("%(terminal)s was paired"),
}
KINDS: Mapping[str, str] = {State.APPLIED: "go", State.REJECTED: "stop", **dict.fromkeys(OPEN, "wait")}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, when, and the page that tells more."""

    text: str
    at: datetime
    url: str


@dataclass(frozen=True, slots=True)
class Named:
    """An operator as a reset knows it: by number, and by the name that number has today."""

    number: str
    name: str


@dataclass(frozen=True, slots=True)
class ResetLine:
    """One reset, finished or not."""

    number: str
    at: datetime
    terminal: str
    operator: Named
    state: str
    kind: str
    took: str

    @property
    def text(self) -> str:
        """The reset in one line."""
        return f"{self.operator.number} {self.operator.name} · {self.terminal} · {self.state}"


def resets_of(terminals: Iterable[Terminal]) -> QuerySet[Command]:
    """The resets of these terminals, newest first."""
    return Command.objects.filter(terminal__in=list(terminals), kind__in=RESETS).order_by("-created_at")


def reset_lines(resets: Iterable[Command], terminals: Iterable[Terminal]) -> list[ResetLine]:
    """Resets in words. The receipt number belongs to the room above, which is named as a string only."""
    resets, names = list(resets), operator_names(terminals)
    terminal_names = {terminal.pk: terminal.name for terminal in terminals}
    rows = Command.objects.filter(pk__in=[reset.pk for reset in resets])
    numbers = dict(rows.values_list("pk", "recovery__number"))
    return [
        ResetLine(
            number=numbers.get(reset.pk) or "–",
            at=reset.created_at,
            terminal=terminal_names[reset.terminal_id],
            operator=Named(reset.operator_number, names.get((reset.terminal_id, reset.operator_number), "")),
            state=_("signed on") if reset.signed_on_at else reset.get_state_display(),
            kind=KINDS.get(reset.state, ""),
            took=_took(reset),
        )
        for reset in resets
    ]


def _took(reset: Command) -> str:
    if reset.applied_at is None:
        return ""
    return duration(max(0, int((reset.applied_at - reset.created_at).total_seconds())))


def operator_names(terminals: Iterable[Terminal]) -> dict[tuple[str, str], str]:
    """(terminal, number) → name."""
    rows = Operator.objects.filter(terminal__in=list(terminals))
    return {
        (terminal_id, number): name
        for terminal_id, number, name in rows.values_list("terminal", "number", "name")
    }


IN_FORCE = gettext_noop("The new password of %(operator)s is in force on %(terminal)s")
AFTER_ALL = gettext_noop("%(terminal)s carried out the reset of %(operator)s after it had ended")
ASKED = gettext_noop("%(terminal)s asked %(operator)s for a new password")


def open_resets(terminals: list[Terminal]) -> list[ResetLine]:
    """Resets that are still on their way."""
    return reset_lines(resets_of(terminals).filter(state__in=OPEN)[:LATEST], terminals)


def events_of(merchant: Merchant, terminals: list[Terminal], most: int = 8) -> list[Event]:
    """What happened lately on these terminals of the merchant."""
    events = [event for reset in resets_of(terminals)[:LATEST] for event in _of_reset(reset, terminals)]
    by_id = {terminal.pk: terminal for terminal in terminals}
    audited = AuditEvent.objects.filter(subject__in=by_id, tag__in=AUDITED).order_by("-at", "-id")
    events += [_event(AUDITED[row.tag], row.at, by_id[row.subject]) for row in audited[:LATEST]]
    return sorted(events, key=lambda event: event.at, reverse=True)[:most]


def _of_reset(reset: Command, terminals: list[Terminal]) -> list[Event]:
    terminal = next(terminal for terminal in terminals if terminal.pk == reset.terminal_id)
    number = reset.operator_number
    names = {operator.number: operator.name for operator in terminal.operators.all()}
    operator = f"{number} {names.get(number, '')}".strip()
    moments: list[tuple[str, datetime | None]] = [
        (gettext_noop("A reset of %(operator)s on %(terminal)s was submitted"), reset.created_at),
        (AFTER_ALL if reset.late else ASKED if reset.is_choice else IN_FORCE, reset.applied_at),
        (gettext_noop("%(operator)s signed on at %(terminal)s with the new password"), reset.signed_on_at),
    ]
    if reset.state in ENDED:
        text = BECAUSE.get(reset.reason, ENDED[reset.state])
        moments.append((text, reset.finished_at))
    return [_event(text, at, terminal, operator=operator) for text, at in moments if at is not None]


def _event(text: str, at: datetime, terminal: Terminal, **facts: Any) -> Event:
    words = _(text) % {"terminal": terminal.name, **facts}
    return Event(words, at, reverse("terminals:terminal", args=[terminal.pk]))
