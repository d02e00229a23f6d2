"""The reports say what the rows say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from portal import challenges
from portal.audit import Tag, record
from portal.models import Message
from recovery.desk.reports import cases, course, messages, recoveries
from recovery.desk.reports.percentiles import ALL
from recovery.desk.reports.shape import period_of
from recovery.desk.reports.words import STEPS, WHY
from recovery.models import Recovery, Ticket
from terminals.models import Terminal
from tests.cast import make_merchant, make_terminal
from tests.recovery.reporting import began, numbers, opened, restored, sent, week

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
State, Door = Recovery.State, Recovery.Door


@pytest.fixture(autouse=True)
def noon() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def terminal() -> Terminal:
    return make_terminal(make_merchant())


# ── the funnel ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_funnel_counts_whoever_came_so_far_or_further(terminal: Terminal) -> None:
    shop, at = terminal.store.merchant, timezone.now()
    began()
    began(merchant=shop)
    began(merchant=shop, proved_at=at)
    began(merchant=shop, proved_at=at, operator_number="03")
    restored(terminal, signed_on_at=at)
    funnel, _ = recoveries.journeys(week())
    came = {"started": 5, "known": 4, "proved": 3, "chosen": 2, "sent": 1, "restored": 1, "signed_on": 1}
    assert numbers(funnel, "came") == came
    assert list(came) == list(STEPS)
    assert numbers(funnel, "of_all")["proved"] == 3 / 5
    assert numbers(funnel, "of_before")["proved"] == 3 / 4
    assert numbers(funnel, "of_before")["started"] is None


def test_what_ended_says_at_which_step_and_why(terminal: Terminal) -> None:
    shop, at = terminal.store.merchant, timezone.now()
    proved: dict[str, Any] = {"merchant": shop, "proved_at": at}
    began(state=State.ABANDONED)
    began(merchant=shop, state=State.ABANDONED)
    began(merchant=shop, state=State.ABANDONED, attempts=2)
    began(merchant=shop, state=State.ABANDONED, attempts=challenges.ATTEMPTS)
    unsent = began(merchant=shop, state=State.ABANDONED)
    Message.objects.create(template="code", challenge=unsent.challenge, state="undelivered")
    began(minutes_ago=5, merchant=shop, state=State.PROVING)
    began(state=State.ABANDONED, **proved)
    refused = began(state=State.ESCALATED, **proved)
    record(Tag.RECOVERY_REFUSED, actor="x", subject=refused.pk, operator="00", reason="proof")
    began(state=State.ABANDONED, reason="denied", **proved)
    began(state=State.FAILED, reason="user_declined", operator_number="03", dispatched_at=at, **proved)
    began(state=State.DONE, reason="remembered", **proved)
    restored(terminal)
    _, stops = recoveries.journeys(week())
    assert numbers(stops, "ended") == {
        "started/unknown": 1, "known/silent": 1, "known/wrong": 1, "known/burned": 1, "known/unsent": 1,
        "known/going": 1, "proved/left": 1, "proved/refused": 1, "proved/denied": 1, "sent/user_declined": 1,
        "restored/remembered": 1,
    }  # fmt: skip


def test_every_reason_that_the_query_can_give_has_its_words() -> None:
    given = {when.result.value for when in recoveries._why(NOW).cases if hasattr(when.result, "value")}
    assert given | {"left"} <= set(WHY)


# ── help, time, repetition ──────────────────────────────────────────────────────────────────────────────────


def test_restored_without_help_means_no_case_and_not_by_the_desk(terminal: Terminal) -> None:
    restored(terminal)
    Ticket.objects.create(subject="x", recovery=restored(terminal))
    restored(terminal, door=Door.SUPPORT)
    restored(terminal, door=Door.TERMINAL)
    began(merchant=terminal.store.merchant)
    found = recoveries.self_served(week())
    assert numbers(found, "restored") == {ALL: 4, "browser": 2, "terminal": 1, "support": 1}
    assert numbers(found, "alone") == {ALL: 2, "browser": 1, "terminal": 1, "support": 0}
    assert numbers(found, "share")[ALL] == 0.5


def test_percentiles_are_of_the_nearest_rank_and_of_each_line_for_itself(terminal: Terminal) -> None:
    for seconds in range(10, 110, 10):
        restored(terminal, seconds)
    restored(terminal, 7200, door=Door.OWNER)
    found = recoveries.time_to_restore(week())
    assert numbers(found, "restored") == {ALL: 11, "browser": 10, "owner": 1}
    assert numbers(found, "half") == {ALL: 60, "browser": 50, "owner": 7200}
    assert numbers(found, "most") == {ALL: 100, "browser": 90, "owner": 7200}


def test_operators_are_counted_by_how_often_they_were_restored(terminal: Terminal) -> None:
    for number, times in {"01": 1, "03": 1, "05": 2, "00": 4}.items():
        for _ in range(times):
            restored(terminal, operator_number=number)
    assert numbers(recoveries.repeats(week()), "operators") == {"once": 2, "twice": 1, "more": 1}


def test_the_course_has_every_day_and_every_hour_even_where_nothing_happened(terminal: Terminal) -> None:
    restored(terminal)
    restored(terminal, door=Door.SUPPORT)
    began(minutes_ago=3 * 24 * 60)
    days = course.course(week())
    assert [column.begun for column in days] == [0, 0, 0, 1, 0, 0, 2]
    assert (days[-1].alone, days[-1].helped, days[-1].unrestored) == (1, 1, 0)
    tallest, bars = course.drawn(days)
    assert tallest == 2
    assert [(bar.kind, bar.y, bar.height) for bar in bars] == [
        ("unrestored", 50, 50), ("alone", 50, 50), ("helped", 0, 50)
    ]  # fmt: skip
    today = course.course(period_of(1, timezone.now()))
    # Noon in Greenwich is 20 o'clock in Shanghai, and the hour after it has just begun.
    assert len(today) == 21
    assert sum(column.begun for column in today) == 2


# ── messages and cases ──────────────────────────────────────────────────────────────────────────────────────


def test_costs_are_told_for_recoveries_and_for_everything_else() -> None:
    sent(cost_milli=45)
    sent("applied", cost_milli=45)
    sent("sign-in", cost_milli=45)
    sent(channel="voice", cost_milli=90)
    sent(channel="email")
    spent = messages.costs(week())
    assert numbers(spent, "money") == {
        "recovery/sms": 90, "recovery/voice": 90, "recovery/email": 0, "other/sms": 45
    }  # fmt: skip
    assert numbers(messages.cost_of_one(spent, began=4, restored=3), "money") == {"restored": 60, "began": 45}
    assert numbers(messages.cost_of_one(spent, began=0, restored=0), "money") == {
        "restored": None,
        "began": None,
    }


def test_each_carrier_answers_for_what_it_was_handed() -> None:
    for state in ("delivered", "delivered", "undelivered", "unknown"):
        sent(gateway="twilio", state=state)
    sent(gateway="aliyun", state="failed")
    sent(state="queued")
    found = messages.carriers(week())
    assert numbers(found, "handed") == {"sms/aliyun": 1, "sms/twilio": 4}
    assert numbers(found, "undelivered") == {"sms/aliyun": 1, "sms/twilio": 1}
    assert numbers(found, "share") == {"sms/aliyun": 1, "sms/twilio": 0.25}


def test_cases_are_answered_by_the_first_word_to_the_merchant_and_closed_once() -> None:
    opened("code", answered=5, closed=60)
    opened("code", answered=15)
    opened("tamper")
    assert numbers(cases.cases(week()), "opened") == {"code": 2, "tamper": 1}
    assert numbers(cases.cases(week()), "closed") == {"code": 1, "tamper": 0}
    first = cases.first_response(week())
    assert numbers(first, "cases") == {ALL: 2, "code": 2}
    assert numbers(first, "half") == {ALL: 300, "code": 300}
    assert numbers(first, "most") == {ALL: 900, "code": 900}
    assert numbers(cases.resolution(week()), "half") == {ALL: 3600, "code": 3600}


def test_what_was_late_is_counted_by_priority() -> None:
    late = {"answered_late": True, "solved_late": False}, {"answered_late": True, "solved_late": True}
    for facts in ({}, {"answered_late": False}, *late):
        Ticket.objects.filter(pk=opened("code").pk).update(priority=1, **facts)
    opened("code")
    found = cases.promises(week())
    assert numbers(found, "opened") == {"1": 4, "3": 1}
    assert numbers(found, "late_answers") == {"1": 2, "3": 0}
    assert numbers(found, "late_ends") == {"1": 1, "3": 0}
    assert numbers(found, "share") == {"1": 0.5, "3": 0}


def test_the_first_answer_is_the_one_that_the_clock_knows() -> None:
    ticket = opened("code", answered=30)
    called = ticket.created_at + timedelta(minutes=10)
    Ticket.objects.filter(pk=ticket.pk).update(answered_at=called)
    assert numbers(cases.first_response(week()), "half")[ALL] == 600


# ── period ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_period_begins_at_midnight_where_people_are_and_holds_today() -> None:
    # 20 o'clock in Shanghai.
    assert period_of(1, NOW).since == datetime(2026, 11, 24, 16, tzinfo=UTC)
    assert period_of(7, NOW).since == datetime(2026, 11, 18, 16, tzinfo=UTC)
    assert period_of(12345, NOW).days == 30
    with timezone.override("Europe/Berlin"):
        spring = datetime(2026, 3, 30, 10, tzinfo=UTC)
        assert period_of(7, spring).since == datetime(2026, 3, 23, 23, tzinfo=UTC)


def test_what_began_before_a_period_is_not_in_it(terminal: Terminal) -> None:
    restored(terminal, minutes_ago=8 * 24 * 60)
    assert recoveries.self_served(week()).of(ALL)["restored"] == 0
    assert recoveries.self_served(period_of(30, timezone.now())).of(ALL)["restored"] == 1
