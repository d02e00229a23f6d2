"""What an honest desk seldom does: handfuls of resets at night, one shop again and again, a factory password.

Looked for every two minutes. Each opens a case for staff that no merchant sees, once for as long as it lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from portal.audit import Tag, record
from portal.limits import take
from portal.models import AuditEvent
from recovery.desk.tickets import open_for_staff
from recovery.models import Recovery, Verification
from terminals.inventory import reported

STEP = "guard"
DAY = timedelta(days=1)
# By the clock of the installation.
NIGHT_FROM, NIGHT = 22, timedelta(hours=8)
AT_NIGHT, OF_TERMINAL, OF_SHOP = 5, 3, 5
# How long after a reset of 00 a factory password there is laid at its door.
AFTERMATH = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One matter: what it is about, whom to ask, and for how long it is not told again."""

    matter: str
    subject: str
    text: str
    quiet: timedelta = DAY


def watch(now: datetime) -> int:
    """Open a case for each anomaly that was not told yet; how many were."""
    with override(settings.LANGUAGE_CODE):
        found = [*_at_night(now), *_of_terminals(now), *_of_shops(now), *_factory_passwords(now)]
        return sum(_tell(anomaly, now) for anomaly in found)


def _tell(anomaly: Anomaly, now: datetime) -> bool:
    told = AuditEvent.objects.filter(subject=anomaly.matter, tag=Tag.DESK_ANOMALY, at__gt=now - anomaly.quiet)
    if told.exists() or not take("anomalies-per-matter", anomaly.matter).ok:
        return False
    record(Tag.DESK_ANOMALY, actor="system", subject=anomaly.matter)
    open_for_staff(STEP, anomaly.subject, anomaly.text)
    return True


def _started(since: datetime) -> QuerySet[Verification]:
    """Resets that the desk started since then, those that wait for a second person too."""
    return Verification.objects.filter(created_at__gt=since, recovery__dispatched_at__isnull=False)


def _at_night(now: datetime) -> Iterator[Anomaly]:
    local = timezone.localtime(now)
    began = local.replace(hour=NIGHT_FROM, minute=0, second=0, microsecond=0)
    began -= DAY if local < began else timedelta()
    mine = _started(began).filter(created_at__lt=began + NIGHT).order_by()
    many = mine.values("agent", name=F("agent__username")).annotate(n=Count("pk")).filter(n__gte=AT_NIGHT)
    for row in many:
        facts = {"who": row["name"], "n": row["n"]}
        yield Anomaly(
            f"night:user:{row['agent']}",
            _("%(who)s started many resets at night") % facts,
            _(
                "%(who)s started %(n)d resets between 22:00 and 06:00. Look at each case: was the caller"
                " verified, and does the shop know of it? Call the shops on their registered phones."
            )
            % facts,
        )


def _of_terminals(now: datetime) -> Iterator[Anomaly]:
    rows = _started(now - DAY).order_by().values("recovery__terminal", number=F("recovery__terminal__number"))
    for row in rows.annotate(n=Count("pk")).filter(n__gte=OF_TERMINAL):
        facts = {"terminal": row["number"], "n": row["n"]}
        yield Anomaly(
            f"terminal:{row['recovery__terminal']}",
            _("Terminal %(terminal)s was reset again and again") % facts,
            _(
                "The desk started %(n)d resets at terminal %(terminal)s within a day. Either they do not"
                " help, or somebody keeps getting in: ask the shop on its registered phone what happened."
            )
            % facts,
        )


def _of_shops(now: datetime) -> Iterator[Anomaly]:
    rows = _started(now - DAY).order_by().values("recovery__merchant", number=F("recovery__merchant__number"))
    for row in rows.annotate(n=Count("pk")).filter(n__gte=OF_SHOP):
        facts = {"merchant": row["number"], "n": row["n"]}
        yield Anomaly(
            f"merchant:{row['recovery__merchant']}",
            _("Shop %(merchant)s was reset again and again") % facts,
            _(
                "The desk started %(n)d resets for merchant %(merchant)s within a day. Ask the shop on its"
                " registered phone whether it asked for all of them."
            )
            % facts,
        )


def _factory_passwords(now: datetime) -> Iterator[Anomaly]:
    """Resets of 00 after which the terminal reports that 00 has the password it came with."""
    done = Recovery.objects.filter(
        created_at__gt=now - AFTERMATH, operator_number="00", state=Recovery.State.DONE
    )
    news = done.filter(terminal__status__inventory_at__gt=F("finished_at"))
    news = news.filter(terminal__status__inventory_at__gt=now - DAY)
    for recovery in news.select_related("terminal__status"):
        terminal = recovery.terminal
        if terminal is None or reported(terminal, now).get("00", {}).get("weak") != "default":
            continue
        facts = {"terminal": terminal.number, "number": recovery.number}
        yield Anomaly(
            f"default:{recovery.pk}",
            _("The supervisor of %(terminal)s has the factory password after a reset") % facts,
            _(
                "Recovery %(number)s reset operator 00, and terminal %(terminal)s reports that 00 has the"
                " password the machine came with. Everybody knows that one: have the shop choose another, and"
                " ask who stood at the machine."
            )
            % facts,
            AFTERMATH + DAY,
        )
