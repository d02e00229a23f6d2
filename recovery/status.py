"""What the status page may say: read from rows, and only what has happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.template.defaultfilters import date as format_date
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from recovery import authority, flow, steps
from recovery.models import Recovery
from terminals.commands import HANDED_OVER
from terminals.health import Health, calls_within_s, health
from terminals.models import Command, Operator

State = Command.State
# phase → headline and sentence. `operator`, `number`, `terminal`, `seen`, `pace` are filled in.
WORDS: Mapping[str, tuple[str, str]] = {
    "queued": (
        gettext_noop("Waiting for the terminal"),
        gettext_noop("Seen %(seen)s; it calls about every %(pace)s."),
    ),
    "late": (
        gettext_noop("The terminal should have called by now"),
        gettext_noop("Seen %(seen)s. Look whether it is on and online; the password is kept for 72 hours."),
    ),
    "offline": (
        gettext_noop("Offline: it will fetch this as soon as it connects"),
        gettext_noop("Last seen %(seen)s. Kept for 72 hours; no need to resubmit."),
    ),
    "fetched": (
        gettext_noop("The terminal has it"),
        gettext_noop("If a sale is running it will finish first."),
    ),
    "deferred": (
        gettext_noop("The terminal is busy and will try again"),
        gettext_noop("A sale or a settlement is running. It goes on by itself after %(retry)s."),
    ),
    "choosing": (
        gettext_noop("The terminal asks for the new password now"),
        gettext_noop("%(operator)s chooses it there, within 15 minutes."),
    ),
    "unanswered": (
        gettext_noop("The terminal has stopped asking"),
        gettext_noop("If %(operator)s chose a password there, it holds; if not, the old one still does."),
    ),
    "applied": (
        gettext_noop("The new password is in force. Sign on at the terminal."),
        gettext_noop("At %(terminal)s, enter operator %(number)s, then the new password."),
    ),
    "signed_on": (
        gettext_noop("%(operator)s is in. You can sell again."),
        gettext_noop("All done. Keep the receipt number."),
    ),
    "rejected": (
        gettext_noop("The terminal refused this password"),
        gettext_noop("The old password still holds."),
    ),
    "expired": (
        gettext_noop("The terminal did not come in time"),
        gettext_noop("This reset is over; the old password still holds. Start again when it is online."),
    ),
    "key_changed": (
        gettext_noop("The terminal has a new key: set the password once more"),
        gettext_noop("It was paired again, so nobody can open what you sent. The old password still holds."),
    ),
    "cancelling": (
        gettext_noop("Being withdrawn"),
        gettext_noop("The terminal had fetched it already; it says next whether it was in time."),
    ),
    "cancelled": (
        gettext_noop("Withdrawn"),
        gettext_noop("Nothing was changed; the old password still holds."),
    ),
    "superseded": (
        gettext_noop("A newer reset has replaced this one"),
        gettext_noop("Somebody started another one for the same operator. Was it not you? Call support."),
    ),
}
WHY: Mapping[str, str] = {
    "policy_rejected": gettext_noop("Used before, a factory password, or somebody else's on this terminal."),
    "operator_unknown": gettext_noop("This operator is not on the terminal."),
    "user_declined": gettext_noop("Somebody pressed cancel at the terminal, or time ran out."),
    "storage_failed": gettext_noop("The terminal could not store it. It needs a technician."),
    "unsupported_cmd": gettext_noop("This terminal cannot set passwords by itself. It needs an update."),
    "not_yet_valid": gettext_noop("The terminal's clock is wrong."),
    "open_failed": gettext_noop("The terminal could not open it."),
    "key_changed": gettext_noop("The terminal was paired again."),
}
NEVER_SEEN = gettext_noop("It has not called yet. The password is kept for 72 hours; no need to resubmit.")
OTHER_WHY = gettext_noop("The terminal did not accept it.")
LIPS: Mapping[str, tuple[str, str, str]] = {
    "queued": (
        "wait",
        gettext_noop("Waiting for the terminal"),
        gettext_noop("It only has to be online"),
    ),
    "late": ("wait", gettext_noop("Waiting for the terminal"), gettext_noop("It only has to be online")),
    "offline": ("still", gettext_noop("The terminal is not connected"), ""),
    "fetched": ("go", gettext_noop("Waiting for its receipt"), gettext_noop("Leave the terminal on")),
    "deferred": ("wait", gettext_noop("Waiting for the sale to finish"), ""),
    "choosing": ("go", gettext_noop("Waiting for the choice"), gettext_noop("At the terminal")),
    "cancelling": ("wait", gettext_noop("Waiting for the terminal's answer"), ""),
}
QUEUED_AS = {"online": "queued", "late": "late", "off": "offline", "never": "offline"}
RED = frozenset({"rejected", "expired", "cancelled", "superseded", "key_changed"})
BAD_LINES: Mapping[str, str] = {
    "rejected": gettext_noop("Refused"),
    "expired": gettext_noop("Run out"),
    "key_changed": gettext_noop("Cannot be opened"),
    "cancelled": gettext_noop("Withdrawn"),
    "superseded": gettext_noop("Replaced"),
}


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
        ply="stop" if phase in RED else "wait" if phase in ("late", "offline", "deferred") else "",
        torn=phase in ("applied", "signed_on"),
        total=spell((done - command.created_at).total_seconds()) if done else "",
        stamp_at=command.signed_on_at,
        lip=lip_of(phase, command, now),
        live=phase in LIPS or phase in ("applied", "unanswered"),
        can_withdraw=command.state == State.QUEUED,
        can_set_again=flow.may_set_again(recovery, now),
        show_checks=phase in ("late", "offline"),
    )


def phase_of(command: Command, seen: Health, now: datetime) -> str:
    """The one word for where a command is; finer than its state only where a person would ask."""
    if command.signed_on_at is not None:
        return "signed_on"
    if command.state in (State.QUEUED, State.PENDING_APPROVAL):
        return QUEUED_AS[seen.kind]
    if command.state == State.FETCHED and command.retry_at is not None:
        return "deferred"
    if command.applied_at is not None and command.is_choice:
        return "choosing" if now < command.applied_at + steps.CHOICE_LIFE else "unanswered"
    if command.state == State.CANCELLED and command.reason == HANDED_OVER:
        return "cancelling"
    if command.reason == "key_changed":
        return "key_changed"
    return str(command.state)


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
    title, lede = WORDS[phase]
    if phase == "offline" and seen.last_seen_at is None:
        lede = NEVER_SEEN
    return _(title) % values, _(lede) % values


def lines_of(command: Command, phase: str) -> list[Line]:
    """The printed lines, oldest first."""
    facts = [(_("Submitted"), command.created_at), (_("Fetched by the terminal"), command.fetched_at)]
    facts.append((_("Screen for it is open") if command.is_choice else _("In force"), command.applied_at))
    lines: list[Line] = []
    for label, at in facts:
        if at is not None:
            lines.append(Line(label, at, took=_since(lines, at)))
    if phase in RED and command.finished_at is not None:
        why = _(WHY.get(command.reason, OTHER_WHY)) if phase == "rejected" else ""
        at = command.finished_at
        lines.append(Line(_(BAD_LINES[phase]), at, took=_since(lines, at), why=why, bad=True))
    return lines


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
    else:
        facts.append((_("Phone"), recovery.masked_phone, True))
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
