"""Who is told that a case runs late, before and after: staff only, one text a person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from portal.alarms import raise_alarm
from portal.audit import Tag, record
from portal.limits import look, take
from portal.models import Address, User
from portal.notices import tell
from recovery.desk.clocks import BATCH, MINUTE, Service, in_force
from recovery.desk.hours import known
from recovery.models import Escalation, Ticket

PER_PERSON = "case-texts-per-agent"
DECEMBER, SAID_ON = 12, (10, 17, 24)
DUE, LATE, CALLED = "case-due", "case-late", "case-urgent"
# Whom each text is about, by person.
Told = dict[tuple[User, str], list[Ticket]]


def sweep() -> int:
    """Call those on duty for what cannot wait, and go along the chain; how many cases somebody heard of."""
    now, served = timezone.now(), in_force()
    _look_ahead(now, served)
    told: Told = defaultdict(list)
    with transaction.atomic():
        _call(now, served, told)
        for step in Escalation.objects.select_related("group").order_by("-minutes"):
            _climb(step, now, served, told)
        for (person, template), cases in told.items():
            _text(person, template, cases)
    return len({case.pk for cases in told.values() for case in cases})


def _look_ahead(now: datetime, served: Service) -> None:
    """Say on three days of December that nobody knows the holidays of the year to come."""
    today = timezone.localdate(now)
    if today.month != DECEMBER or today.day not in SAID_ON or known(today.year + 1):
        return
    entered = any(day.year == today.year + 1 for day in served.hours.days)
    if not entered and look("alarms-per-kind", Tag.CALENDAR_ENDS.value).ok:
        raise_alarm(Tag.CALENDAR_ENDS, year=today.year + 1)


def due_by(served: Service, now: datetime, seconds: int) -> Q:
    """Cases due within so many seconds of their own time, or before where there are fewer than none."""
    found = Q()
    for priority, level in served.levels.items():
        found |= Q(priority=priority, next_due_at__lte=level.time.shift(now, seconds))
    return Q(state=Ticket.State.OPEN) & found


# ── the chain ───────────────────────────────────────────────────────────────────────────────────────────────


def _climb(step: Escalation, now: datetime, served: Service, told: Told) -> None:
    """Tell one step about each case that has come to it; the last step goes first: nobody hears twice."""
    due = Ticket.objects.filter(due_by(served, now, -step.minutes * MINUTE))
    for case in _oldest(due.filter(Q(told_minutes=None) | Q(told_minutes__lt=step.minutes))):
        same = Ticket.objects.filter(pk=case.pk, next_due_at=case.next_due_at, told_minutes=case.told_minutes)
        if same.update(told_minutes=step.minutes) != 1:
            continue
        people = _people(step, case, now, served)
        late = case.next_due_at is not None and case.next_due_at <= now
        _note(Tag.TICKET_LATE if late else Tag.TICKET_DUE, case, people, LATE if late else DUE, told)


def _people(step: Escalation, case: Ticket, now: datetime, served: Service) -> list[User]:
    """Whom a step tells: while the desk is closed those on duty, and they too where nobody has the case."""
    agent = case.assignee if case.assignee is not None and case.assignee.is_active else None
    if not served.hours.open_at(now):
        return _on_duty(now)
    if step.to == Escalation.To.GROUP and step.group is not None:
        return list(step.group.user_set.filter(is_staff=True, is_active=True).order_by("pk"))
    if step.to == Escalation.To.AGENT and agent is not None:
        return [agent]
    return _on_duty(now)


def _on_duty(now: datetime) -> list[User]:
    people = User.objects.filter(is_staff=True, is_active=True)
    return list(people.filter(duties__starts_at__lte=now, duties__ends_at__gt=now).distinct().order_by("pk"))


# ── while the desk is closed ────────────────────────────────────────────────────────────────────────────────


def _call(now: datetime, served: Service, told: Told) -> None:
    """Tell those on duty of what runs around the clock and that nobody has, once for each case.

    Steps before the deadline would say the same again.
    """
    if served.hours.open_at(now):
        return
    always = [priority for priority, level in served.levels.items() if level.around_the_clock]
    waits = Ticket.objects.filter(state=Ticket.State.OPEN, assignee=None, paged_at=None, priority__in=always)
    for case in _oldest(waits):
        if Ticket.objects.filter(pk=case.pk, paged_at=None).update(paged_at=now, told_minutes=-1) == 1:
            _note(Tag.TICKET_CALLED, case, _on_duty(now), CALLED, told)


def _oldest(cases: QuerySet[Ticket]) -> QuerySet[Ticket]:
    return cases.select_related("assignee").order_by("next_due_at", "pk")[:BATCH]


# ── the texts ───────────────────────────────────────────────────────────────────────────────────────────────


def _note(tag: Tag, case: Ticket, people: Iterable[User], template: str, told: Told) -> None:
    """Put on record whom this reaches, and name no merchant there: what support owes is its own affair."""
    reached = [person for person in people if person.phone or person.email]
    record(tag, actor="system", subject=case.number, to=", ".join(f"user:{each.pk}" for each in reached))
    if not reached:
        raise_alarm(Tag.DESK_UNHEARD, ticket=case.number)
    for person in reached:
        told[person, template].append(case)


def _text(person: User, template: str, cases: list[Ticket]) -> None:
    """One text about all of them, while the person's texts of the day last."""
    if not take(PER_PERSON, f"user:{person.pk}").ok:
        return
    facts = {"count": str(len(cases)), "number": cases[0].number}
    kind, address = (Address.Kind.PHONE, person.phone) if person.phone else (Address.Kind.EMAIL, person.email)
    tell(kind, address, template, settings.LANGUAGE_CODE, **facts)
