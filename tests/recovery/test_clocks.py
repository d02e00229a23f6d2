"""The clock of a case: what it owes by priority, when it stands still, and what it says in the end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.contrib.admin.utils import quote
from django.core.exceptions import ValidationError
from django.urls import reverse

from portal.models import AuditEvent, User
from portal.roles import Role
from recovery.desk import casework, clocks, service, tickets
from recovery.models import CalendarDay, ServiceLevel, Ticket
from tests.cast import make_member, make_merchant, make_staff, signed_in

pytestmark = pytest.mark.django_db
SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(text: str) -> datetime:
    """A moment of the last week of November 2026, whose Wednesday is the 25th."""
    return datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=SHANGHAI)


@pytest.fixture
def agent() -> User:
    return make_staff("agent")


@pytest.fixture
def ticket() -> Ticket:
    """A case opened on Wednesday at ten."""
    with time_machine.travel(at("25T10:00"), tick=False):
        return tickets.open_about_shop(make_merchant(), "code", "No text comes", "…")


def now(ticket: Ticket) -> Ticket:
    ticket.refresh_from_db()
    return ticket


def test_a_case_owes_an_answer_and_then_a_solution(ticket: Ticket, agent: User) -> None:
    assert now(ticket).next_due_at == at("25T12:00")
    with time_machine.travel(at("25T11:00"), tick=False):
        tickets.reply(ticket, agent, "We look into it.", version=0)
    assert now(ticket).answered_at == at("25T11:00")
    assert ticket.answered_late is False
    assert ticket.next_due_at == at("27T10:00")
    with time_machine.travel(at("27T09:00"), tick=False):
        assert tickets.close(ticket, agent)
    assert (now(ticket).next_due_at, ticket.solved_late) == (None, False)


def test_a_note_among_colleagues_is_no_answer(ticket: Ticket, agent: User) -> None:
    tickets.reply(ticket, agent, "Who knows this shop?", version=0, internal=True)
    assert now(ticket).answered_at is None


def test_where_nobody_waits_a_colleagues_note_answers(agent: User) -> None:
    ticket = tickets.open_for_staff("guard", "Texts are stopped", "…")
    assert ticket.priority == Ticket.Priority.HIGH
    tickets.reply(ticket, agent, "I look.", version=0, internal=True)
    assert now(ticket).answered_at is not None


def test_the_clock_stands_still_while_a_case_waits_for_somebody_else(ticket: Ticket, agent: User) -> None:
    with time_machine.travel(at("25T11:00"), tick=False):
        tickets.reply(ticket, agent, "Please send the receipt.", version=0)
        service.wait_for(ticket, agent, Ticket.State.WAITING, version=1)
    assert (now(ticket).next_due_at, ticket.still_since) == (None, at("25T11:00"))
    with time_machine.travel(at("30T10:00"), tick=False):
        service.wait_for(ticket, agent, Ticket.State.OPEN, version=2)
    # Seventeen of eighteen hours are left.
    assert (now(ticket).next_due_at, ticket.still_since) == (
        datetime(2026, 12, 1, 18, tzinfo=SHANGHAI),
        None,
    )
    with time_machine.travel(datetime(2026, 12, 2, 9, 1, tzinfo=SHANGHAI), tick=False):
        service.wait_for(ticket, agent, Ticket.State.MANUFACTURER, version=3)
        tickets.close(ticket, agent)
    assert now(ticket).solved_late is True


def test_nobody_hides_a_wait_before_the_first_answer(ticket: Ticket, agent: User) -> None:
    with pytest.raises(ValidationError):
        service.wait_for(ticket, agent, Ticket.State.ACQUIRER, version=0)
    assert now(ticket).state == Ticket.State.OPEN


def test_what_nobody_settled_the_sweep_settles(ticket: Ticket, agent: User) -> None:
    entry = ticket.entries.create(author="staff", user=agent, text="Done.", at=at("25T10:30"))
    Ticket.objects.update(state=Ticket.State.CLOSED, closed_at=at("25T11:00"))
    with time_machine.travel(at("25T15:00"), tick=False):
        assert clocks.sweep() == 1
        assert clocks.sweep() == 0
    assert now(ticket).spent_s == 3600
    assert (ticket.next_due_at, ticket.answered_at, ticket.solved_late) == (None, entry.at, False)
    Ticket.objects.update(state=Ticket.State.OPEN, closed_at=None)
    with time_machine.travel(at("26T09:00"), tick=False):
        assert clocks.sweep() == 1
    assert now(ticket).next_due_at == at("27T17:00")
    assert ticket.solved_late is None


def test_cases_older_than_clocks_begin_when_they_are_found() -> None:
    with time_machine.travel(at("25T10:00"), tick=False):
        old = Ticket.objects.create(subject="old", created_at=at("02T10:00"))
        just = Ticket.objects.create(subject="just", created_at=at("25T09:50"))
        over = Ticket.objects.create(
            subject="over", state=Ticket.State.CLOSED, created_at=at("02T10:00"), closed_at=at("03T10:00")
        )
        assert clocks.sweep() == 2
    assert now(old).next_due_at == at("25T12:00")
    assert now(just).next_due_at == at("25T11:50")
    assert now(over).solved_late is None


def test_another_priority_counts_what_was_spent(ticket: Ticket, agent: User) -> None:
    with time_machine.travel(at("25T10:10"), tick=False):
        service.set_priority(ticket, agent, Ticket.Priority.URGENT, version=0)
    assert now(ticket).next_due_at == at("25T10:30")
    assert ticket.version == 1
    with pytest.raises(tickets.Stale):
        service.set_priority(ticket, agent, Ticket.Priority.LOW, version=0)


def test_the_urgent_run_at_night(agent: User) -> None:
    with time_machine.travel(at("28T23:00"), tick=False):
        ticket = tickets.open_about_shop(make_merchant(), "tamper", "Opened by force", "…")
    assert ticket.priority == Ticket.Priority.URGENT
    assert now(ticket).next_due_at == at("28T23:30")


def test_a_day_off_moves_deadlines_and_so_does_another_level(
    ticket: Ticket, agent: User, django_capture_on_commit_callbacks: Any
) -> None:
    with time_machine.travel(at("25T17:00"), tick=False):
        tickets.reply(ticket, agent, "We look into it.", version=0)
    assert now(ticket).next_due_at == at("27T10:00")
    CalendarDay.objects.create(day=at("26T10:00").date(), works=False, source="moving house")
    assert clocks.reckon_anew() == 1
    assert now(ticket).next_due_at == at("30T10:00")
    ServiceLevel.objects.filter(priority=ticket.priority).update(solve_minutes=600)
    assert clocks.reckon_anew() == 1
    assert now(ticket).next_due_at == at("27T11:00")


def test_levels_hold_without_rows(ticket: Ticket) -> None:
    ServiceLevel.objects.all().delete()
    assert clocks.reckon_anew() == 0


def test_rows_that_steer_the_desk_are_changed_on_record(agent: User) -> None:
    desk = signed_in(agent)
    level = ServiceLevel.objects.get(priority=Ticket.Priority.LOW)
    page = reverse("admin:recovery_servicelevel_change", args=(level.pk,))
    assert desk.post(page, {"answer_minutes": "100", "solve_minutes": "99"}).status_code == 200
    assert desk.post(page, {"answer_minutes": "100", "solve_minutes": "5000"}).status_code == 302
    days = reverse("admin:recovery_calendarday_add")
    assert desk.post(days, {"day": "2027-02-06", "works": "", "source": "notice for 2027"}).status_code == 302
    events = AuditEvent.objects.filter(tag="recovery:service:changed").order_by("id")
    assert [event.facts["what"] for event in events] == ["changed", "added"]
    for name in ("servicelevel", "calendarday", "duty", "escalation"):
        assert desk.get(reverse(f"admin:recovery_{name}_changelist")).status_code == 200


def test_several_cases_go_to_one_person(ticket: Ticket, agent: User) -> None:
    other = make_staff("other")
    rows = [ticket, *(Ticket.objects.create(subject=f"case {n}", assignee=other) for n in range(2))]
    over = Ticket.objects.create(subject="over", state=Ticket.State.CLOSED)
    desk = signed_in(agent)
    chosen = {"action": "assign", "_selected_action": [row.pk for row in [*rows, over]]}
    list_page = reverse("admin:recovery_ticket_changelist")
    desk.post(list_page, chosen)
    assert now(ticket).assignee is None
    desk.post(list_page, {**chosen, "to": str(agent.pk)})
    assert set(Ticket.objects.filter(assignee=agent)) == set(rows)
    assert AuditEvent.objects.filter(tag="recovery:ticket:assigned").count() == 3


def test_a_clock_moves_with_time_only(ticket: Ticket) -> None:
    with time_machine.travel(at("25T10:00") + timedelta(minutes=5), tick=False):
        assert not clocks.settle(ticket)


@pytest.mark.parametrize(("how", "answers"), [("reached", True), ("incoming", True), ("missed", False)])
def test_a_call_that_was_spoken_is_an_answer(ticket: Ticket, agent: User, how: str, answers: bool) -> None:
    casework.log_call(ticket, agent, how, "They found the card.", version=0)
    assert (now(ticket).answered_at is not None) is answers


def test_a_case_that_is_opened_again_goes_on_where_it_stood(ticket: Ticket, agent: User) -> None:
    with time_machine.travel(at("25T11:00"), tick=False):
        tickets.reply(ticket, agent, "Done.", version=0)
        tickets.close(ticket, agent)
    assert (now(ticket).spent_s, ticket.solved_late) == (3600, False)
    with time_machine.travel(at("27T09:00"), tick=False):
        casework.reopen(ticket, agent, version=2)
    assert (now(ticket).next_due_at, ticket.solved_late) == (at("30T17:00"), None)


def test_the_panel_of_a_case_sets_what_it_says_and_refuses_what_is_stale(agent: User) -> None:
    ticket = tickets.open_about_shop(make_merchant(), "code", "No text comes", "…")
    desk = signed_in(agent)
    panel = reverse("admin:recovery_ticket_level", args=(ticket.pk,))
    page = desk.get(reverse("admin:recovery_ticket_change", args=(quote(ticket.pk),))).content.decode()
    assert panel in page
    wanted = {"version": "0", "priority": "1", "state": "open"}
    assert desk.post(panel, wanted).status_code == 302
    assert (now(ticket).priority, ticket.version) == (1, 1)
    desk.post(panel, {**wanted, "priority": "4"})
    assert now(ticket).priority == 1
    desk.post(panel, {"version": "1", "priority": "2", "state": "waiting"})
    assert (now(ticket).priority, ticket.state) == (1, "open")
    tickets.reply(ticket, agent, "Please send the receipt.", version=1)
    desk.post(panel, {"version": "2", "priority": "2", "state": "manufacturer"})
    assert (now(ticket).priority, ticket.state, ticket.version) == (2, "manufacturer", 4)
    for odd in ({"version": "x"}, {"state": "closed", "version": "4", "priority": "1"}, {}):
        assert desk.post(panel, odd).status_code == 302
    assert (now(ticket).state, ticket.version) == ("manufacturer", 4)
    assert desk.get(panel).status_code == 405
    assert signed_in(make_member("watcher", Role.AUDITOR)).post(panel, wanted).status_code == 403
