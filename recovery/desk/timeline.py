"""Everything that happened about one case, oldest first: said, sent, proved, decided and carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, TextChoices
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.audit import Tag
from portal.models import AuditEvent, Message, User
from recovery.desk.refusals import WORDS as REFUSALS
from recovery.models import Photo, Recovery, Ticket, TicketEntry
from terminals.models import Command, CommandEvent

# The newest of each source; a case with more is not read to its beginning.
MOST = 200
AUDITED: Mapping[str, str | Promise] = {
    Tag.TICKET_OPENED: gettext_lazy("opened the case"),
    Tag.TICKET_ASSIGNED: gettext_lazy("gave the case to %(to)s"),
    Tag.TICKET_CLOSED: gettext_lazy("closed the case"),
    Tag.TICKET_REOPENED: gettext_lazy("opened the case again"),
    Tag.TICKET_MERGED: gettext_lazy("merged the case into %(into)s"),
    Tag.TICKET_FOLLOWED: gettext_lazy("read the case after a code"),
    Tag.TICKET_PRIORITY: gettext_lazy("set the priority to %(priority)s"),
    Tag.TICKET_WAITS: gettext_lazy("set the case to: %(state)s"),
    Tag.TICKET_DUE: gettext_lazy("said that the case is due soon, to %(to)s"),
    Tag.TICKET_LATE: gettext_lazy("said that the case is past due, to %(to)s"),
    Tag.TICKET_CALLED: gettext_lazy("called who is on duty, %(to)s"),
    Tag.PHONE_SHOWN: gettext_lazy("had the number shown"),
    Tag.VERIFICATION_OPENED: gettext_lazy("began to verify the caller, for operator %(operator)s"),
    Tag.VERIFICATION_STATED: gettext_lazy("stated a piece of evidence"),
    Tag.VERIFICATION_ATTESTED: gettext_lazy("attested the caller, for the acquirer"),
    Tag.VERIFICATION_REFUSED: gettext_lazy("was refused"),
    Tag.VERIFICATION_ASKED: gettext_lazy("asked a second person about operator %(operator)s"),
    Tag.VERIFICATION_DENIED: gettext_lazy("said no as the second person"),
    Tag.DESK_MISUSED: gettext_lazy("tried what the desk may not do"),
    Tag.RECOVERY_STARTED: gettext_lazy("began a recovery"),
    Tag.RECOVERY_AT_TERMINAL: gettext_lazy("stood at the terminal"),
    Tag.RECOVERY_DENIED: gettext_lazy("did not prove it"),
    Tag.RECOVERY_PROVED: gettext_lazy("gave a proof"),
    Tag.RECOVERY_REFUSED: gettext_lazy("was refused a reset of operator %(operator)s"),
    Tag.RECOVERY_DISPATCHED: gettext_lazy("sent the reset on its way"),
    Tag.RECOVERY_DISOWNED: gettext_lazy("said “this wasn't me”"),
    Tag.RECOVERY_FINISHED: gettext_lazy("came to the end of the recovery"),
}
PRIORITIES = {str(value): label for value, label in Ticket.Priority.choices}
STATES = dict(Ticket.State.choices)
TEMPLATES: Mapping[str, str | Promise] = {
    "code": gettext_lazy("Code for the recovery"),
    "desk-code": gettext_lazy("Code for the caller"),
    "contact-code": gettext_lazy("Code of a recovery contact"),
}


class Kind(TextChoices):
    """What a line is about, to look at one sort only."""

    TALK = "talk", gettext_lazy("conversation")
    STEP = "step", gettext_lazy("steps and decisions")
    TEXT = "text", gettext_lazy("texts")
    TERMINAL = "terminal", gettext_lazy("terminal")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: when, who or what did it, in words."""

    at: datetime
    kind: Kind
    who: str
    text: str
    internal: bool = False
    photo: Photo | None = None


def timeline(ticket: Ticket) -> list[Line]:
    """The whole story of a case; seven queries, however long it is."""
    parts = [ticket, *ticket.merged.all()]
    met = Recovery.objects.filter(Q(tickets__in=parts) | Q(verification__ticket__in=parts))
    recoveries = list(met.distinct())
    lines = [
        *_said(parts),
        *_steps(parts, recoveries),
        *_texts(recoveries),
        *_moves([recovery.command_id for recovery in recoveries if recovery.command_id]),
    ]
    return sorted(lines, key=lambda line: line.at)


def _said(parts: list[Ticket]) -> list[Line]:
    entries = TicketEntry.objects.filter(ticket__in=parts).select_related("user", "photo")
    newest = list(entries.defer("photo__sealed").order_by("-at", "-id")[:MOST])
    return [
        Line(each.at, Kind.TALK, _by(each), _told_in(each), each.internal, each.picture)
        for each in reversed(newest)
    ]


def _told_in(entry: TicketEntry) -> str:
    how = entry.get_call_display()
    return f"{how}: {entry.text}" if how and entry.text else how or entry.text


def _by(entry: TicketEntry) -> str:
    return entry.user.get_username() if entry.user is not None else entry.get_author_display()


def _steps(parts: list[Ticket], recoveries: list[Recovery]) -> list[Line]:
    about = [*(part.number for part in parts), *(recovery.pk for recovery in recoveries)]
    events = list(AuditEvent.objects.filter(subject__in=about, tag__in=AUDITED).order_by("-at", "-id")[:MOST])
    named = {event.actor for event in events}
    named |= {each for event in events for each in str(event.facts.get("to", "")).split(", ")}
    numbers = [actor.removeprefix("user:") for actor in named if actor.startswith("user:")]
    people = {f"user:{user.pk}": user.get_username() for user in User.objects.filter(pk__in=numbers)}
    return [
        Line(event.at, Kind.STEP, _who(event.actor, people), _told(event, people)) for event in events[::-1]
    ]


def _who(actor: str, people: Mapping[str, str]) -> str:
    if actor.startswith("user:"):
        return people.get(actor, actor)
    return _("merchant") if actor in ("visitor", "browser") else _("system")


def _told(event: AuditEvent, people: Mapping[str, str]) -> str:
    to = str(event.facts.get("to", ""))
    facts = {
        "operator": event.facts.get("operator") or "–",
        "to": ", ".join(people.get(each, each) for each in to.split(", ")) or _("nobody"),
        "priority": PRIORITIES.get(str(event.facts.get("priority", "")), ""),
        "state": STATES.get(str(event.facts.get("state", "")), ""),
        "into": event.facts.get("into", ""),
    }
    text = str(AUDITED[event.tag]) % facts
    reason = str(event.facts.get("reason", ""))
    return f"{text}: {REFUSALS[reason]}" if reason in REFUSALS else text


def _texts(recoveries: list[Recovery]) -> list[Line]:
    challenges = [recovery.challenge_id for recovery in recoveries]
    rows = Message.objects.filter(challenge__in=challenges).order_by("-created_at")[:MOST]
    return [
        Line(
            row.created_at,
            Kind.TEXT,
            row.get_channel_display(),
            f"{TEMPLATES.get(row.template, row.template)}, {row.masked_phone}: {row.get_state_display()}",
        )
        for row in rows
    ]


def _moves(commands: list[str]) -> list[Line]:
    moves = CommandEvent.objects.filter(command__in=commands).select_related("command__terminal")
    words = dict(Command.State.choices)
    return [
        Line(
            move.at,
            Kind.TERMINAL,
            move.command.terminal.name,
            f"{move.command.get_kind_display()} {move.command.operator_number}: "
            f"{words.get(move.to_state, move.to_state)}",
        )
        for move in moves.order_by("-at", "-id")[:MOST]
    ]
