"""Time as a service level counts it: the desk's hours on the days it works, or every minute there is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Protocol

import chinese_calendar

FROM_TO = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
DAY = timedelta(days=1)
# Nothing is due later than this; a calendar without a single workday must not be searched for ever.
FARTHEST = 1000
SATURDAY = 5


class Time(Protocol):
    """What counts for a service level."""

    def shift(self, moment: datetime, seconds: int) -> datetime:
        """The moment that many seconds of this time later, or earlier where there are fewer than none."""

    def between(self, start: datetime, end: datetime) -> int:
        """How many seconds of this time lie between two moments."""


@dataclass(frozen=True, slots=True)
class Always:
    """Every minute counts."""

    def shift(self, moment: datetime, seconds: int) -> datetime:
        """Plain addition."""
        return moment + timedelta(seconds=seconds)

    def between(self, start: datetime, end: datetime) -> int:
        """Plain difference."""
        return max(0, int((end - start).total_seconds()))


@lru_cache(maxsize=4096)
def works_by_calendar(day: date) -> bool:
    """Whether a day is a workday by the State Council's yearly notice, swapped weekends included.

    Of a year without a notice yet only Saturdays and Sundays are free.
    """
    if not known(day.year):
        return day.weekday() < SATURDAY
    return bool(chinese_calendar.is_workday(day))


@lru_cache(maxsize=64)
def known(year: int) -> bool:
    """Whether the calendar of public holidays has this year."""
    try:
        chinese_calendar.is_workday(date(year, 1, 1))
    except NotImplementedError:
        return False
    return True


@dataclass(frozen=True)
class Hours:
    """The desk's hours, in the desk's time zone; `days` are the days that differ from the calendar."""

    opens: time
    closes: time
    zone: tzinfo
    days: Mapping[date, bool] = field(default_factory=dict)

    def works(self, day: date) -> bool:
        """Whether the desk works on a day."""
        found = self.days.get(day)
        return works_by_calendar(day) if found is None else found

    def open_at(self, moment: datetime) -> bool:
        """Whether somebody is at the desk."""
        local = moment.astimezone(self.zone)
        return self.works(local.date()) and self.opens <= local.time() < self.closes

    def between(self, start: datetime, end: datetime) -> int:
        """Seconds of opening hours between two moments; none when the second is not later."""
        day, last = start.astimezone(self.zone).date(), end.astimezone(self.zone).date()
        seconds = 0.0
        while day <= last:
            if self.works(day):
                opens, closes = self._on(day)
                seconds += max(0.0, (min(end, closes) - max(start, opens)).total_seconds())
            day += DAY
        return int(seconds)

    def shift(self, moment: datetime, seconds: int) -> datetime:
        """The moment at which so many seconds of opening hours will have passed, or had still to pass."""
        if not seconds:
            return moment
        back = seconds < 0
        left = timedelta(seconds=abs(seconds))
        day, step = moment.astimezone(self.zone).date(), -DAY if back else DAY
        for _ in range(FARTHEST):
            opens, closes = self._on(day) if self.works(day) else (moment, moment)
            start, end = (opens, min(closes, moment)) if back else (max(opens, moment), closes)
            here = max(timedelta(), end - start)
            if here >= left:
                return end - left if back else start + left
            left -= here
            day += step
        return moment + step * FARTHEST

    def _on(self, day: date) -> tuple[datetime, datetime]:
        return (
            datetime.combine(day, self.opens, tzinfo=self.zone),
            datetime.combine(day, self.closes, tzinfo=self.zone),
        )


def read_hours(text: str) -> tuple[time, time]:
    """`09:00-18:00` as two times of one day. Raises ValueError."""
    found = FROM_TO.fullmatch(text)
    if found is None or found[1] + found[2] >= found[3] + found[4]:
        raise ValueError(text)
    hours = [int(part) for part in found.groups()]
    return time(hours[0], hours[1]), time(hours[2], hours[3])
