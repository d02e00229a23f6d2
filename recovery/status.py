"""What the status page may say: read from rows, and only what has happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from django.template.defaultfilters import date as format_date
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from recovery import authority, flow
from recovery.models import Recovery
from recovery.phases import (
    AFTER_ALL,
    BAD_LINES,
    LIPS,
    NEVER_SEEN,
    OTHER_WHY,
    RED,
    WHY,
    WORDS,
    phase_of,
)
from terminals.health import Health, calls_within_s, health
from terminals.models import Command, Operator
from terminals.protocol import SOFT_FINAL

State = Command.State
YELLOW = frozenset({"late", "offline", "deferred", "unheard"})


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line: something that has happened, when, and how long after the line before."""

    label: str
    at: datetime
    took: str = ""
    why: str = ""
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Lip:
    """What stands on the printer's lip: whom we wait for, and for how many seconds already."""

    lamp: str
    title: str
    small: str
    seconds: int


@dataclass(frozen=True, slots=True)
class StatusView:
    """Everything the status page prints."""

    phase: str
    title: str
    lede: str
    lines: list[Line]
    facts: list[dict[str, Any]]
    health: Health
    ply: str = ""
    torn: bool = False
    total: str = ""
    stamp_at: datetime | None = None
    lip: Lip | None = None
    live: bool = False
    can_withdraw: bool = False
    can_set_again: bool = False
    show_checks: bool = False


def status_of(recovery: Recovery, now: datetime) -> StatusView:
    """Read a dispatched recovery. Raises ValueError when there is no command to tell of."""
    command = recovery.command
    if command is None:
        raise ValueError("this recovery has no command")
    seen = health(command.terminal, now)
    phase = phase_of(command, seen, now)
    done = command.signed_on_at if command.is_choice else command.applied_at
    title, lede = words_of(phase, command, seen)
    return StatusView(
        phase=phase,
        title=title,
        lede=lede,
        lines=lines_of(command, phase),
        facts=facts_of(recovery),
        health=seen,
        ply="wait" if phase in YELLOW else "stop" if phase in RED else "",
        torn=phase in ("applied", "signed_on"),
        total=spell((done - command.created_at).total_seconds()) if done else "",
        stamp_at=command.signed_on_at,
        lip=lip_of(phase, command, now),
        live=phase in LIPS or phase in ("applied", "unanswered"),
        can_withdraw=command.state in (State.QUEUED, State.FETCHED),
        can_set_again=flow.may_set_again(recovery, now),
        show_checks=phase in ("late", "offline"),
    )


def words_of(phase: str, command: Command, seen: Health) -> tuple[str, str]:
    """The headline and the sentence under it."""
    values = {
        "number": command.operator_number,
        "operator": operator_name(command),
        "terminal": command.terminal.name,
        "seen": spell_when(seen.last_seen_at),
        "pace": spell_pace(calls_within_s(command.terminal)),
        "retry": clock(command.retry_at),
    }
    title, lede = AFTER_ALL if phase == "applied" and command.late else WORDS[phase]
    if phase == "offline" and seen.last_seen_at is None:
        lede = NEVER_SEEN
    return _(title) % values, _(lede) % values


def lines_of(command: Command, phase: str) -> list[Line]:
    """The printed lines, oldest first."""
    done = _("Screen for it is open") if command.is_choice else _("In force")
    facts: list[tuple[str, datetime | None]] = [
        (_("Submitted"), command.created_at),
        (_("Fetched by the terminal"), command.fetched_at),
        (done, command.applied_at),
    ]
    if command.late:
        facts += _ended_before(command)
    lines: list[Line] = []
    for label, at in sorted(((label, at) for label, at in facts if at is not None), key=itemgetter(1)):
        lines.append(Line(label, at, took=_since(lines, at)))
    if phase in RED and command.finished_at is not None:
        why = _(WHY.get(command.reason, OTHER_WHY)) if phase == "rejected" else ""
        at = command.finished_at
        lines.append(Line(_(BAD_LINES[phase]), at, took=_since(lines, at), why=why, bad=True))
    return lines


def _ended_before(command: Command) -> list[tuple[str, datetime | None]]:
    """The end a command had come to before the terminal reported that it had carried it out."""
    moves = command.events.filter(to_state__in=SOFT_FINAL).values_list("to_state", "at")
    return [(_(BAD_LINES[state]), at) for state, at in moves]


def _since(lines: list[Line], at: datetime) -> str:
    if not lines:
        return ""
    return "+" + spell((at - lines[-1].at).total_seconds())


def lip_of(phase: str, command: Command, now: datetime) -> Lip | None:
    """What the lip says while there is something to wait for."""
    if phase not in LIPS:
        return None
    lamp, title, small = LIPS[phase]
    since = (command.applied_at if command.is_choice else None) or command.fetched_at or command.created_at
    return Lip(lamp, _(title), _(small) if small else "", int((now - since).total_seconds()))


def facts_of(recovery: Recovery) -> list[dict[str, Any]]:
    """The slip's head: shop, terminal and operator, as far as the journey has proved or chosen them."""
    facts: list[tuple[str | Promise, str, bool]] = []
    if recovery.proved_at and recovery.merchant:
        facts.append((_("Shop"), recovery.merchant.legal_name, False))
    elif recovery.identifier:
        facts.append((_("Number"), recovery.identifier, True))
    if recovery.proved_at and recovery.terminal:
        facts.append((_("Terminal"), f"{recovery.terminal.name} {recovery.terminal.number}", False))
    operator = authority.operator_of(recovery) if recovery.proved_at else None
    if operator is not None:
        facts.append((_("Operator"), f"{operator.number} {operator.name}", False))
    elif recovery.masked_phone:
        facts.append((_("E-mail") if recovery.email else _("Phone"), recovery.masked_phone, True))
    return [{"label": label, "value": value, "num": num} for label, value, num in facts]


def operator_name(command: Command) -> str:
    """The name of the command's operator, or the number when the terminal knows one that we do not."""
    named = Operator.objects.filter(terminal_id=command.terminal_id, number=command.operator_number).first()
    return named.name if named else command.operator_number


def spell(seconds: float) -> str:
    """A span as people say it: 14 s, 6 min 40 s, 3 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return _("%(s)d s") % {"s": whole}
    if whole < 3600:
        return _("%(m)d min %(s)d s") % {"m": whole // 60, "s": whole % 60}
    return _("%(h)d h %(m)d min") % {"h": whole // 3600, "m": whole % 3600 // 60}


def spell_pace(seconds: int) -> str:
    """A pace in whole minutes, rounded up, for nobody counts a till's seconds."""
    minutes = -(-seconds // 60)
    return ngettext("%(m)d minute", "%(m)d minutes", minutes) % {"m": minutes}


def spell_when(at: datetime | None) -> str:
    """When something was last seen: a span while it is short, then a time, then a date."""
    if at is None:
        return _("never")
    ago = timezone.now() - at
    if ago < timedelta(hours=1):
        return _("%(span)s ago") % {"span": spell(ago.total_seconds())}
    return clock(at)


def clock(at: datetime | None) -> str:
    """A time of day, with its date when it is not today's."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    return format_date(local, "H:i" if local.date() == timezone.localdate() else "Y-m-d H:i")
