"""Business time: the desk's hours, public holidays with the weekends worked for them, and our own rows."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.desk.hours import Always, Hours, known, read_hours, works_by_calendar

SHANGHAI = ZoneInfo("Asia/Shanghai")
DESK = Hours(time(9), time(18), SHANGHAI)
HOUR = 3600

# The State Council's notice of 4 November 2025 about 2026: first and last free day, and the weekends worked.
FREE_2026 = [
    ("2026-01-01", "2026-01-03"),
    ("2026-02-15", "2026-02-23"),
    ("2026-04-04", "2026-04-06"),
    ("2026-05-01", "2026-05-05"),
    ("2026-06-19", "2026-06-21"),
    ("2026-09-25", "2026-09-27"),
    ("2026-10-01", "2026-10-07"),
]
WORKED_2026 = ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def test_every_day_of_2026_is_as_the_notice_says() -> None:
    free = set()
    for first, last in FREE_2026:
        day = date.fromisoformat(first)
        while day <= date.fromisoformat(last):
            free.add(day)
            day += timedelta(days=1)
    worked = {date.fromisoformat(f"2026-{day}") for day in WORKED_2026}
    for number in range(365):
        day = date(2026, 1, 1) + timedelta(days=number)
        assert works_by_calendar(day) == (day in worked or (day.weekday() < 5 and day not in free)), day


def test_of_a_year_without_a_notice_weekends_are_free_and_rows_say_the_rest() -> None:
    unknown = next(year for year in range(2026, 2200) if not known(year))
    new_year = date(unknown, 1, 1)
    week = [new_year + timedelta(days=number) for number in range(7)]
    assert sum(works_by_calendar(day) for day in week) == 5
    told = Hours(time(9), time(18), SHANGHAI, dict.fromkeys(week, False))
    assert not any(told.works(day) for day in week)


@pytest.mark.parametrize(
    ("start", "seconds", "end"),
    [
        ("2026-11-25T10:00", 2 * HOUR, "2026-11-25T12:00"),
        ("2026-11-25T17:30", 2 * HOUR, "2026-11-26T10:30"),
        ("2026-11-25T20:00", HOUR, "2026-11-26T10:00"),
        ("2026-11-25T07:00", HOUR, "2026-11-25T10:00"),
        ("2026-11-27T17:00", 2 * HOUR, "2026-11-30T10:00"),
        ("2026-09-30T17:00", 2 * HOUR, "2026-10-08T10:00"),
        ("2026-10-09T17:00", 2 * HOUR, "2026-10-10T10:00"),
        ("2026-02-14T17:00", 10 * HOUR, "2026-02-24T18:00"),
        ("2026-11-25T10:00", -2 * HOUR, "2026-11-24T17:00"),
        ("2026-11-30T09:30", -HOUR, "2026-11-27T17:30"),
        ("2026-11-28T12:00", -HOUR, "2026-11-27T17:00"),
        ("2026-11-28T12:00", 0, "2026-11-28T12:00"),
    ],
)
def test_time_outside_the_hours_does_not_count(start: str, seconds: int, end: str) -> None:
    assert DESK.shift(at(start), seconds) == at(end)


MOMENTS = st.integers(0, 364 * 24 * HOUR).map(lambda s: at("2026-01-01T00:00") + timedelta(seconds=s))


@settings(max_examples=150, deadline=None)
@given(MOMENTS, st.integers(1, 40 * HOUR))
def test_what_was_added_lies_between(moment: datetime, seconds: int) -> None:
    for desk in (DESK, Always()):
        assert desk.between(moment, desk.shift(moment, seconds)) == seconds
        assert desk.between(desk.shift(moment, -seconds), moment) == seconds


@settings(max_examples=80, deadline=None)
@given(MOMENTS, MOMENTS, MOMENTS)
def test_stretches_of_time_add_up(one: datetime, two: datetime, three: datetime) -> None:
    first, second, third = sorted((one, two, three))
    assert DESK.between(first, third) == DESK.between(first, second) + DESK.between(second, third)
    assert DESK.between(third, first) <= 0 or first == third


def test_a_calendar_without_workdays_ends_the_search() -> None:
    class Never(Hours):
        def works(self, day: date) -> bool:
            return False

    never = Never(time(9), time(18), SHANGHAI)
    assert never.shift(at("2026-11-25T10:00"), HOUR) > at("2029-01-01T00:00")


@pytest.mark.parametrize(
    "wrong",
    ["", "9-18", "18:00-09:00", "09:00-09:00", "09:00-24:00", "\uff10\uff19:00-18:00", "09:00-18:00\n"],
)
def test_hours_that_are_none_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError):
        read_hours(wrong)


def test_hours_are_read() -> None:
    assert read_hours("08:30-20:00") == (time(8, 30), time(20))
