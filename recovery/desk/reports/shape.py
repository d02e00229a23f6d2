"""What a report is made of: a period, figures and their lines, alike for page, CSV and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils import timezone
from django.utils.functional import Promise

Text = str | Promise
# Days a report may cover, today among them.
SPANS = (1, 7, 30, 90)
USUAL = 30


class Unit(StrEnum):
    """What a number counts; in CSV and metrics shares are 0 to 1, spans seconds, money thousandths."""

    COUNT = "count"
    SHARE = "share"
    SECONDS = "seconds"
    MONEY = "thousandths"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days in the zone of the installation, the last one as far as it has come."""

    days: int
    since: datetime
    until: datetime

    @property
    def by_hour(self) -> bool:
        """Whether its course is told in hours; of one day there is only one column otherwise."""
        return self.days == 1


def period_of(days: int, now: datetime) -> Period:
    """The last so many days until now; of a number that is not offered, the usual one."""
    days = days if days in SPANS else USUAL
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    # Within one zone this goes back by the calendar: a day in which clocks change is not 24 hours long.
    return Period(days, midnight - timedelta(days=days - 1), now)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a figure: its stable names, its words, and a number for each measure, or none."""

    keys: tuple[str, ...]
    labels: tuple[Text, ...]
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Measure:
    """One column of a figure."""

    key: str
    label: Text
    unit: Unit = Unit.COUNT


@dataclass(frozen=True, slots=True)
class Figure:
    """A small table with a stable name; `by` are the names of what its lines are split by."""

    key: str
    title: Text
    note: Text
    by: tuple[tuple[str, Text], ...]
    measures: tuple[Measure, ...]
    lines: tuple[Line, ...]

    def of(self, *keys: str) -> Mapping[str, float | None]:
        """The numbers of one line; none of them where there is no such line."""
        return next((line.values for line in self.lines if line.keys == keys), {})

    def total(self, measure: str) -> float:
        """The sum over all lines."""
        return sum(line.values.get(measure) or 0 for line in self.lines)


def share(part: float | None, whole: float | None) -> float | None:
    """A part of a whole, 0 to 1; nothing where there is no whole."""
    return part / whole if part is not None and whole else None
