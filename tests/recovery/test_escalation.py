"""Who hears that a case runs late: by the chain, in the right hours, once, and never the merchant."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import time_machine
from django.contrib.auth.models import Group

from portal.models import AuditEvent, Message, User
from recovery.desk import escalation, tickets
from recovery.desk.hours import known
from recovery.models import CalendarDay, Duty, Escalation, Ticket
from tests.cast import make_merchant
from tests.recovery.desk import PHONES, make_person
from tests.recovery.test_clocks import at

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent() -> User:
    return make_person("agent")


@pytest.fixture
def ticket(agent: User) -> Ticket:
    """A case of the agent's; its answer is due on Wednesday at noon."""
    with time_machine.travel(at("25T10:00"), tick=False):
        ticket = tickets.open_about_shop(make_merchant(), "code", "No text comes", "…")
        tickets.assign(ticket, agent)
    return ticket


def on_duty(person: User, since: datetime, until: datetime) -> None:
    Duty.objects.create(user=person, starts_at=since, ends_at=until)


def swept(moment: str) -> list[tuple[str, str]]:
    """Who was texted what by a sweep at this moment."""
    Message.objects.all().delete()
    with time_machine.travel(at(moment), tick=False):
        escalation.sweep()
    return sorted((row.phone, row.template) for row in Message.objects.all())


def test_the_chain_is_climbed_step_by_step_and_each_step_once(ticket: Ticket, agent: User) -> None:
    second = make_person("second")
    on_duty(second, at("25T00:00"), at("26T00:00"))
    assert swept("25T11:44") == []
    assert swept("25T11:45") == [(PHONES["agent"], "case-due")]
    assert swept("25T11:46") == []
    assert swept("25T12:00") == [(PHONES["agent"], "case-late")]
    assert swept("25T12:59") == []
    assert swept("25T13:00") == [(PHONES["second"], "case-late")]
    assert swept("25T17:00") == []


def test_a_step_that_was_missed_is_left_out(ticket: Ticket, agent: User) -> None:
    on_duty(make_person("second"), at("25T00:00"), at("26T00:00"))
    assert swept("25T15:00") == [(PHONES["second"], "case-late")]
    assert swept("25T15:01") == []


def test_a_new_deadline_begins_the_chain_anew(ticket: Ticket, agent: User) -> None:
    assert swept("25T11:46") == [(PHONES["agent"], "case-due")]
    with time_machine.travel(at("25T11:47"), tick=False):
        tickets.reply(ticket, agent, "We look into it.", version=1)
    assert swept("25T11:50") == []
    assert swept("27T09:50") == [(PHONES["agent"], "case-due")]


def test_many_cases_make_one_text(agent: User) -> None:
    with time_machine.travel(at("25T10:00"), tick=False):
        for number in range(5):
            ticket = tickets.open_about_shop(make_merchant(), "code", f"case {number}", "…")
            tickets.assign(ticket, agent)
    assert swept("25T11:45") == [(PHONES["agent"], "case-due")]
    assert Message.objects.get().facts["count"] == "5"


def test_while_the_desk_is_closed_those_on_duty_are_called_for_what_is_urgent(agent: User) -> None:
    second = make_person("second")
    on_duty(second, at("28T20:00"), at("29T08:00"))
    with time_machine.travel(at("28T23:00"), tick=False):
        tickets.open_about_shop(make_merchant(), "tamper", "Opened by force", "…")
        tickets.open_about_shop(make_merchant(), "code", "No text comes", "…")
    assert swept("28T23:01") == [(PHONES["second"], "case-urgent")]
    assert swept("28T23:02") == []
    assert swept("28T23:30") == [(PHONES["second"], "case-late")]


def test_an_agent_is_not_woken(ticket: Ticket, agent: User) -> None:
    Ticket.objects.update(priority=Ticket.Priority.URGENT, next_due_at=at("25T23:00"))
    on_duty(make_person("second"), at("25T20:00"), at("26T08:00"))
    assert swept("25T22:45") == [(PHONES["second"], "case-due")]


def test_a_group_can_be_told(ticket: Ticket, agent: User) -> None:
    leads = Group.objects.create(name="leads of the desk")
    leads.user_set.add(make_person("third"))
    Escalation.objects.create(minutes=30, to=Escalation.To.GROUP, group=leads)
    assert swept("25T12:30") == [(PHONES["third"], "case-late")]


def test_when_nobody_can_be_told_a_case_says_so_once_a_day(ticket: Ticket, agent: User) -> None:
    Ticket.objects.update(assignee=None)
    assert swept("25T11:46") == []
    assert swept("25T12:00") == []
    found = Ticket.objects.exclude(pk=ticket.pk).get()
    assert found.step == "guard"
    assert AuditEvent.objects.filter(tag="recovery:desk:unheard").count() >= 2


def test_no_merchant_hears_of_it(ticket: Ticket, agent: User) -> None:
    swept("25T12:30")
    assert not Message.objects.filter(phone=make_merchant().phone).exists()
    told = AuditEvent.objects.filter(tag__in=("recovery:ticket:late", "recovery:ticket:due-soon"))
    assert [event.merchant for event in told] == [None]


def test_a_case_that_waits_alarms_nobody(ticket: Ticket, agent: User) -> None:
    Ticket.objects.update(state=Ticket.State.WAITING)
    assert swept("25T12:30") == []


def test_in_december_a_case_says_that_next_years_holidays_are_missing() -> None:
    year = next(year for year in range(2026, 2200) if not known(year)) - 1
    with time_machine.travel(datetime(year, 12, 10, 4, tzinfo=UTC), tick=False):
        escalation.sweep()
        escalation.sweep()
    assert Ticket.objects.get().step == "guard"
    Ticket.objects.all().delete()
    CalendarDay.objects.create(day=date(year + 1, 1, 1), works=False, source="the notice")
    with time_machine.travel(datetime(year, 12, 17, 4, tzinfo=UTC), tick=False):
        escalation.sweep()
    assert not Ticket.objects.exists()
