"""The story: an owner's rows of the audit trail, with names instead of ids, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from portal.accounts import trail_name
from portal.audit import Tag
from portal.messaging.outbox import phone_subject
from portal.models import AddressChange, AuditEvent, Merchant, User
from recovery.happened.words import ALL, Topic, tags_of
from recovery.models import Recovery
from terminals.models import Command, Terminal, TerminalAlert

PER_PAGE = 40
# What else is said of some events: the fact, and its values in words.
SAID: Mapping[str, tuple[str, Mapping[Any, str | Promise]]] = {
    Tag.ALERT_RAISED: ("kind", dict(TerminalAlert.Kind.choices)),
    Tag.ALERT_CLEARED: ("kind", dict(TerminalAlert.Kind.choices)),
    Tag.RECOVERY_FINISHED: ("state", dict(Recovery.State.choices)),
    Tag.TERMINAL_STOPPED: ("reason", dict(Terminal.StopReason.choices)),
}
# Ids of rows are positive and below this on every database.
BEYOND = 2**63


@dataclass(frozen=True, slots=True)
class Line:
    """What happened, to what, by whom, when; `times` in a row, the first of them at `since`."""

    at: datetime
    text: str
    about: str
    who: str
    times: int = 1
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """One page, and the id before which the next one begins; None when this is the last."""

    lines: list[Line]
    older: int | None


@dataclass(frozen=True, slots=True)
class Names:
    """Names for the ids of one page; what is not this shop's has none."""

    people: dict[str, str]
    things: dict[str, str]


def story_of(merchant: Merchant, owner: User, topic: Topic | None = None, before: int = BEYOND) -> Story:
    """The newest events about this shop whose ids are below `before`. Ten queries at most."""
    people = list(User.objects.filter(merchant=merchant))
    events = _events(merchant, people, tags_of(topic), before)
    shown = events[:PER_PAGE]
    names = Names(_people(people, owner, shown), _things(merchant, shown))
    older = shown[-1].pk if len(events) > PER_PAGE else None
    return Story(_together([_line(event, names) for event in shown]), older)


def _events(merchant: Merchant, people: Iterable[User], tags: list[str], before: int) -> list[AuditEvent]:
    """Those that name the shop, and those that name none but are about its people, phone or recoveries."""
    about = [f"user:{user.pk}" for user in people] + [trail_name(user.username) for user in people]
    about += [phone_subject(merchant.phone)] if merchant.phone else []
    begun = Recovery.objects.filter(merchant=merchant).values("pk")
    sources = (
        Q(merchant=merchant),
        Q(merchant=None, subject__in=about),
        Q(merchant=None, subject__in=begun),
    )
    rows = AuditEvent.objects.filter(tag__in=tags, pk__lt=before).order_by("-pk")
    found = [event for source in sources for event in rows.filter(source)[: PER_PAGE + 1]]
    return sorted(found, key=lambda event: event.pk, reverse=True)[: PER_PAGE + 1]


def _line(event: AuditEvent, names: Names) -> Line:
    about = [names.things.get(event.subject, "")]
    if event.tag == Tag.RECOVERY_ASKED:
        about = [str(event.facts.get("operator", "")), names.things.get(event.actor, "")]
    if choices := SAID.get(event.tag):
        fact, words = choices
        about.append(str(words.get(event.facts.get(fact), "")))
    text = str(ALL[Tag(event.tag)])
    return Line(event.at, text, " · ".join(filter(None, about)), _who(event, names))


def _who(event: AuditEvent, names: Names) -> str:
    actor = event.actor
    if actor.startswith("user:"):
        return names.people.get(actor, _("an account that is gone"))
    if actor.startswith("trm_") or actor == "terminal":
        return names.things.get(actor, _("the terminal"))
    if actor in ("visitor", "browser", "anonymous") or actor.startswith("recovery:"):
        return _("without signing in")
    return _("support") if actor == "manage" else _("automatic")


def _people(people: Iterable[User], owner: User, events: Iterable[AuditEvent]) -> dict[str, str]:
    """Owners by their names; whoever works at the desk is support, or the acquirer, by no name."""
    ours = {f"user:{user.pk}": _("you") if user == owner else user.username for user in people}
    others = {event.actor for event in events if event.actor.startswith("user:")} - ours.keys()
    numbers = [actor.removeprefix("user:") for actor in others]
    found = User.objects.filter(pk__in=numbers).exclude(is_staff=False, acquirer_code="")
    staff = found.values_list("pk", "acquirer_code")
    return ours | {f"user:{pk}": _("your acquirer") if code else _("support") for pk, code in staff}


def _things(merchant: Merchant, events: Iterable[AuditEvent]) -> dict[str, str]:
    """Recoveries, commands, terminals, changes and cases of this shop, as its owner knows them."""
    ids = {name for event in events for name in (event.subject, event.actor) if name}
    ids |= {name.removeprefix("recovery:") for name in ids}
    recoveries = Recovery.objects.filter(pk__in=ids, merchant=merchant).select_related("terminal")
    commands = Command.objects.filter(pk__in=ids, terminal__store__merchant=merchant)
    terminals = Terminal.objects.filter(pk__in=ids, store__merchant=merchant)
    changes = AddressChange.objects.filter(number__in=ids, merchant=merchant)
    cases = {event.subject: event.subject for event in events if event.tag in tags_of(Topic.SUPPORT)}
    return (
        cases
        | {row.pk: _joined(row.operator_number, row.terminal, row.number) for row in recoveries}
        | {row.pk: _command(row) for row in commands.select_related("terminal")}
        | {row.pk: row.name for row in terminals}
        | {row.number: _joined(row.get_what_display(), None, row.number) for row in changes}
    )


def _command(command: Command) -> str:
    what = f"{command.get_kind_display()} {command.operator_number}".strip()
    return _joined(what, command.terminal, "")


def _joined(first: str, terminal: Terminal | None, last: str) -> str:
    return " · ".join(filter(None, (first, terminal.name if terminal else "", last)))


def _together(lines: list[Line]) -> list[Line]:
    """The same thing many times in a row is one line, or whoever guesses hides the rest."""
    runs = [list(run) for _key, run in groupby(lines, key=lambda line: (line.text, line.about, line.who))]
    return [replace(run[0], times=len(run), since=run[-1].at) if len(run) > 1 else run[0] for run in runs]
