"""What is stuck, and why: one terminal's queue as the rows, its inbox and its own calls tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F
from django.utils.translation import gettext_noop

from terminals import delivery, inbox
from terminals.headers import Telemetry
from terminals.health import Health, health
from terminals.models import Command, Terminal, TerminalAlert, TerminalStatus
from terminals.polling import seen
from terminals.protocol import OPEN

State = Command.State
# A command is signed and pushed within this long while worker and Redis are well.
PUSH_WITHIN = timedelta(seconds=15)
# What a terminal has fetched it does, and reports, within this long unless it says that it is busy.
REPORT_WITHIN = timedelta(minutes=2)

# Why nothing moves → what to do about it.
VERDICTS: Mapping[str, tuple[str, str]] = {
    "tampered": (
        gettext_noop("The terminal was opened by force: it is sent nothing."),
        gettext_noop("Look at the machine, then clear the alert; what waits is offered again by itself."),
    ),
    "stopped": (
        gettext_noop("The terminal is stopped: only a lock or a factory reset reaches it."),
        gettext_noop("What else was open has been ended."),
    ),
    "unpaired": (
        gettext_noop("The terminal has no keys: nobody can be sent anything."),
        gettext_noop("Pair it with a new code; what waits is signed for its new key."),
    ),
    "empty": (gettext_noop("Nothing waits for this terminal."), ""),
    "approval": (
        gettext_noop("It waits for a second person, not for the terminal."),
        gettext_noop("Nothing is signed before somebody else has approved it; after 24 hours it is over."),
    ),
    "redis": (
        gettext_noop("Redis cannot be reached: the terminal is served from the database, more slowly."),
        gettext_noop("New commands are signed and offered as soon as Redis is back. See /readyz."),
    ),
    "unsigned": (
        gettext_noop("A command should have been signed by now."),
        gettext_noop("Look at /readyz: the worker stands still, or has no key that may sign this."),
    ),
    "missing": (
        gettext_noop("A signed command is not in the inbox."),
        gettext_noop("The sweeper puts it back within seconds; if not, beat or worker stands still."),
    ),
    "offline": (
        gettext_noop("The terminal does not call: it is off, has no network, or talks to another server."),
        gettext_noop("Power, network, SIM card; what waits is kept until it runs out."),
    ),
    "ignored": (
        gettext_noop("The terminal calls, but has not taken what lies in its inbox."),
        gettext_noop("Look at how it was answered. 401, 403: its key or its state. 429: it calls too often."),
    ),
    "deferred": (
        gettext_noop("The terminal is busy and has asked to be told later."),
        gettext_noop("It is offered again at the time below, without anybody doing anything."),
    ),
    "silent": (
        gettext_noop("The terminal has fetched a command and says nothing about it."),
        gettext_noop(
            "Ask what its screen shows. Its receipt still counts, even after the command has ended."
        ),
    ),
    "moving": (gettext_noop("Everything is on its way."), ""),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One open command, and whether its token lies where it should."""

    command: Command
    # `lies`, `missing`, `not_yet` (unsigned), `held` (deferred, or nothing is offered) or `unknown`.
    place: str


@dataclass(frozen=True, slots=True)
class Call:
    """When a terminal last called, how it was answered, and what it said."""

    at: datetime | None = None
    status: int | None = None
    hwm: int | None = None
    keyset: int | None = None
    idle: bool | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """Everything a person needs who asks why nothing happens on a terminal."""

    terminal: Terminal
    entries: list[Entry]
    # Tokens in the inbox whose command is not open any more; they are taken out when the terminal meets them.
    strays: list[inbox.Item]
    alerts: list[TerminalAlert]
    call: Call
    health: Health
    redis: bool
    verdict: str

    @property
    def advice(self) -> tuple[str, str]:
        """Why nothing moves, and what to do; to be translated."""
        return VERDICTS[self.verdict]

    @property
    def behind(self) -> bool:
        """Whether the terminal says that it has seen numbers we never gave out."""
        return self.call.hwm is not None and self.call.hwm > self.terminal.last_seq


def look(terminal: Terminal, now: datetime) -> Queue:
    """Look at one terminal's queue; nothing is changed."""
    rows = Command.objects.filter(terminal=terminal, state__in=OPEN).order_by(
        F("seq").asc(nulls_last=True), "created_at"
    )
    held = _inbox_of(terminal.pk)
    items = {} if held is None else {item.jti: item for item in held}
    entries = [
        Entry(command, _place(command, terminal, items, now, known=held is not None)) for command in rows
    ]
    lying = {entry.command.jti for entry in entries}
    state, call = health(terminal, now), _call_of(terminal)
    return Queue(
        terminal=terminal,
        entries=entries,
        strays=[item for jti, item in items.items() if jti not in lying],
        alerts=list(terminal.alerts.filter(cleared_at__isnull=True)),
        call=call,
        health=state,
        redis=held is not None,
        verdict=_verdict(terminal, entries, call, state, now, redis=held is not None),
    )


def _inbox_of(terminal_id: str) -> list[inbox.Item] | None:
    try:
        return list(inbox.read(terminal_id).items)
    except inbox.InboxUnavailable:
        return None


def _place(
    command: Command, terminal: Terminal, items: Mapping[str, inbox.Item], now: datetime, *, known: bool
) -> str:
    offered = command.state in (State.QUEUED, State.FETCHED)
    waits = command.retry_at is not None and command.retry_at > now
    if not offered or waits or not delivery.may_receive(terminal, command.kind):
        return "held"
    if not command.token:
        return "not_yet"
    if not known:
        return "unknown"
    return "lies" if command.jti in items else "missing"


def _call_of(terminal: Terminal) -> Call:
    """The newest of what Redis and the row know."""
    row = TerminalStatus.objects.filter(terminal=terminal).first() or TerminalStatus()
    told = seen.latest([terminal.pk]).get(terminal.pk)
    if told is None:
        return Call(row.last_seen_at, row.last_status, row.reported_hwm, row.keyset_version, row.idle)
    said = told.telemetry or Telemetry()
    return Call(
        at=told.at,
        status=told.status,
        hwm=row.reported_hwm if said.hwm is None else said.hwm,
        keyset=row.keyset_version if said.ks is None else said.ks,
        idle=row.idle if said.idle is None else said.idle,
    )


def _verdict(
    terminal: Terminal, entries: list[Entry], call: Call, state: Health, now: datetime, *, redis: bool
) -> str:
    standing = _standing(terminal)
    if standing:
        return standing
    if not entries:
        return "empty"
    found = {_trouble(entry, call, state, now) for entry in entries}
    if not redis:
        found.add("redis")
    return next(one for one in VERDICTS if one in found)


def _standing(terminal: Terminal) -> str:
    if terminal.tampered_at is not None:
        return "tampered"
    if terminal.state in (Terminal.State.QUARANTINED, Terminal.State.REVOKED):
        return "stopped"
    return "" if terminal.state == Terminal.State.ACTIVE else "unpaired"


def _trouble(entry: Entry, call: Call, state: Health, now: datetime) -> str:
    command = entry.command
    if command.state == State.PENDING_APPROVAL:
        return "approval"
    if entry.place == "not_yet":
        return "unsigned" if now - command.created_at > PUSH_WITHIN else "moving"
    if entry.place == "missing":
        return "missing"
    if state.kind in ("off", "never"):
        return "offline"
    if command.retry_at is not None:
        return "deferred"
    return "ignored" if _is_ignored(command, call) else _silence(command, now)


def _is_ignored(command: Command, call: Call) -> bool:
    """Whether the terminal has called since the token lay there, and has not taken it."""
    if command.state != State.QUEUED or command.pushed_at is None or call.at is None:
        return False
    return call.at > command.pushed_at + PUSH_WITHIN


def _silence(command: Command, now: datetime) -> str:
    quiet = command.state != State.QUEUED and now - (command.fetched_at or now) > REPORT_WITHIN
    return "silent" if quiet else "moving"
