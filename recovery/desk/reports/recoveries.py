"""How far recoveries came, why no further, how many needed help, how soon they were restored, how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.utils.translation import gettext_lazy as _

from portal.audit import Tag
from portal.challenges import ATTEMPTS
from portal.models import AuditEvent, Message
from recovery.desk.reports.percentiles import ALL, SPREAD, spread_of, spreads
from recovery.desk.reports.shape import Figure, Line, Measure, Period, Text, Unit, share
from recovery.desk.reports.words import STEPS, why
from recovery.models import Recovery, Ticket
from recovery.steps import UNFINISHED

State, Door = Recovery.State, Recovery.Door
Sent = Message.State
DOOR = (("door", _("Started at")),)
STEP = (("step", _("Step")),)


def begun_in(period: Period) -> QuerySet[Recovery]:
    """The recoveries that began in a period."""
    return Recovery.objects.filter(created_at__gte=period.since, created_at__lte=period.until)


# ── how far they came, and why no further ───────────────────────────────────────────────────────────────────

# The first that holds, from the end of the journey to its beginning.
REACHED = Case(
    When(command__signed_on_at__isnull=False, then=Value("signed_on")),
    When(state=State.DONE, then=Value("restored")),
    When(dispatched_at__isnull=False, then=Value("sent")),
    When(Q(proved_at__isnull=False) & ~Q(operator_number=""), then=Value("chosen")),
    When(proved_at__isnull=False, then=Value("proved")),
    When(merchant__isnull=False, then=Value("known")),
    default=Value("started"),
)
UNPROVED = Q(proved_at__isnull=True)
UNSENT = Exists(
    Message.objects.filter(challenge=OuterRef("challenge"), state__in=(Sent.UNDELIVERED, Sent.FAILED))
)
REFUSED = Exists(AuditEvent.objects.filter(subject=OuterRef("pk"), tag=Tag.RECOVERY_REFUSED.value))


def _why(now: datetime) -> Case:
    """The reason that a row has stands for itself; the others are read from what lies beside it."""
    goes_on = Q(state=State.DISPATCHED) | Q(state__in=UNFINISHED, expires_at__gt=now)
    return Case(
        When(~Q(reason=""), then=F("reason")),
        When(goes_on, then=Value("going")),
        When(UNPROVED & Q(merchant__isnull=True), then=Value("unknown")),
        When(UNPROVED & Q(challenge__attempts__gte=ATTEMPTS), then=Value("burned")),
        When(UNPROVED & Q(challenge__attempts__gt=0), then=Value("wrong")),
        When(UNPROVED & UNSENT, then=Value("unsent")),
        When(UNPROVED, then=Value("silent")),
        When(REFUSED, then=Value("refused")),
        default=Value("left"),
    )


def journeys(period: Period) -> tuple[Figure, Figure]:
    """The funnel, and where and why the others ended; both from one query."""
    rows = begun_in(period).annotate(reached=REACHED)
    ended = rows.annotate(
        why=Case(When(state=State.DONE, reason="", then=Value("")), default=_why(period.until)),
    )
    counted = ended.values_list("reached", "why").annotate(n=Count("pk")).order_by()
    found = {(reached, reason): n for reached, reason, n in counted}
    return _funnel(found), _stops(found)


def _funnel(found: Mapping[tuple[str, str], int]) -> Figure:
    ended: Counter[str] = Counter()
    for (reached, _reason), n in found.items():
        ended[reached] += n
    names, lines, before = list(STEPS), [], None
    began = ended.total()
    for place, name in enumerate(names):
        came = sum(ended[later] for later in names[place:])
        values = {"came": came, "of_all": share(came, began), "of_before": share(came, before)}
        lines.append(Line((name,), (STEPS[name],), values))
        before = came
    return Figure(
        "funnel",
        _("How far recoveries came"),
        _("Strangers are among those who began: what they typed fits no shop."),
        STEP,
        (
            Measure("came", _("came so far")),
            Measure("of_all", _("of all"), Unit.SHARE),
            Measure("of_before", _("of the step before"), Unit.SHARE),
        ),
        tuple(lines),
    )


def _stops(found: Mapping[tuple[str, str], int]) -> Figure:
    names = list(STEPS)
    ended = [(reached, reason, n) for (reached, reason), n in found.items() if reason]
    ended.sort(key=lambda one: (names.index(one[0]), -one[2]))
    return Figure(
        "stops",
        _("Where they ended, and why"),
        _("After which step it went no further; those that were restored as usual are left out."),
        (*STEP, ("reason", _("Reason"))),
        (Measure("ended", _("how many")),),
        tuple(
            Line((reached, reason), (STEPS[reached], why(reason)), {"ended": n})
            for reached, reason, n in ended
        ),
    )


# ── without help, how soon, how often again ─────────────────────────────────────────────────────────────────

WITH_CASE = Exists(Ticket.objects.filter(recovery=OuterRef("pk")))
ALONE = ~Q(door=Door.SUPPORT) & ~Q(WITH_CASE)


def self_served(period: Period) -> Figure:
    """Of those that were restored, how many needed nobody of ours."""
    counted = (
        begun_in(period)
        .filter(state=State.DONE)
        .values_list("door")
        .annotate(restored=Count("pk"), alone=Count("pk", filter=ALONE))
        .order_by()
    )
    found = {door: (restored, alone) for door, restored, alone in counted}
    found[ALL] = (sum(one[0] for one in found.values()), sum(one[1] for one in found.values()))
    return Figure(
        "self_served",
        _("Restored without help"),
        _("No case was opened about it, and the support desk did not start it."),
        DOOR,
        (
            Measure("restored", _("restored")),
            Measure("alone", _("without help")),
            Measure("share", _("share"), Unit.SHARE),
        ),
        tuple(
            Line((key,), (label,), _alone(*found.get(key, (0, 0)))) for key, label in _doors() if key in found
        ),
    )


def _doors() -> list[tuple[str, Text]]:
    return [(ALL, _("all")), *((door.value, door.label) for door in Door)]


def _alone(restored: int, alone: int) -> dict[str, float | None]:
    return {"restored": restored, "alone": alone, "share": share(alone, restored)}


def time_to_restore(period: Period) -> Figure:
    """From the first page to the password in force at the terminal."""
    done = begun_in(period).filter(state=State.DONE, command__isnull=False)
    found = spreads(done, F("finished_at") - F("created_at"), "door")
    return Figure(
        "time_to_restore",
        _("Time to restore"),
        _("From the first page until the terminal said that it is in force."),
        DOOR,
        (Measure("restored", _("restored")), *SPREAD),
        tuple(
            Line((key,), (label,), spread_of(found[key], "restored"))
            for key, label in _doors()
            if key in found
        ),
    )


def repeats(period: Period) -> Figure:
    """How many operators were restored once, twice or more often."""
    done = begun_in(period).filter(state=State.DONE, command__isnull=False)
    each = done.values("terminal", "operator_number").annotate(n=Count("pk")).order_by()
    counted = each.aggregate(
        once=Count("n", filter=Q(n=1)), twice=Count("n", filter=Q(n=2)), more=Count("n", filter=Q(n__gt=2))
    )
    labels = {"once": _("a single time"), "twice": _("twice"), "more": _("three times or more often")}
    return Figure(
        "repeats",
        _("Restored again"),
        _("Operators by how often they were restored; who forgets each week needs another way in."),
        (("times", _("Restored")),),
        (Measure("operators", _("operators")),),
        tuple(Line((key,), (label,), {"operators": counted[key]}) for key, label in labels.items()),
    )
