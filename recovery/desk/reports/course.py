"""The course of a period: recoveries by day, or by hour within one day, as columns to be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Q
from django.db.models.functions import Trunc
from django.utils import timezone

from recovery.desk.reports.recoveries import ALONE, begun_in
from recovery.desk.reports.shape import Period
from recovery.models import Recovery

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DONE = Q(state=Recovery.State.DONE)
# How tall the drawing is; as wide as there are columns, ten units each with a gap of two.
HEIGHT = 100
STEP, GAP = 10, 2


@dataclass(frozen=True, slots=True)
class Column:
    """One day or hour: how many recoveries began in it, were restored without help, and with it."""

    at: datetime
    begun: int
    alone: int
    helped: int

    @property
    def unrestored(self) -> int:
        """Those that began and were not restored."""
        return self.begun - self.alone - self.helped


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of the drawing, in its own units, counted from the top."""

    x: float
    y: float
    width: float
    height: float
    kind: str


def course(period: Period) -> list[Column]:
    """Every day of the period, or hour of the day, with what began in it; one query."""
    counted = (
        begun_in(period)
        .annotate(at=Trunc("created_at", "hour" if period.by_hour else "day"))
        .values_list("at")
        .annotate(
            begun=Count("pk"),
            alone=Count("pk", filter=DONE & ALONE),
            helped=Count("pk", filter=DONE & ~ALONE),
        )
        .order_by("at")
    )
    found = {at: Column(at, *counts) for at, *counts in counted}
    return [found.get(at, Column(at, 0, 0, 0)) for at in _moments(period)]


def _moments(period: Period) -> Iterator[datetime]:
    """The beginning of each column: hours as they pass, days by the calendar, in which one may have 23."""
    at = timezone.localtime(period.since)
    while at <= period.until:
        yield at
        at = timezone.localtime(at.astimezone(UTC) + HOUR) if period.by_hour else at + DAY


def drawn(columns: list[Column]) -> tuple[int, list[Bar]]:
    """The largest number, and the rectangles: restored at the bottom, then with help, then the others."""
    tallest = max((column.begun for column in columns), default=0)
    bars = []
    for place, column in enumerate(columns):
        parts = (("alone", column.alone), ("helped", column.helped), ("unrestored", column.unrestored))
        below = float(HEIGHT)
        for kind, count in parts:
            if count:
                height = HEIGHT * count / tallest
                below -= height
                bars.append(Bar(place * STEP + GAP / 2, below, STEP - GAP, height, kind))
    return tallest, bars
