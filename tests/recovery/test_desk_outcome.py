"""A case ends with its reset, and what an honest desk seldom does becomes a case."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from portal.audit import Tag
from portal.models import AuditEvent
from recovery.desk import anomalies, tickets, verification
from recovery.models import Recovery, Ticket, TicketEntry, Verification
from recovery.tasks import sweep, watch_desk
from terminals import commands
from terminals.models import Command
from tests.cast import PairedTill
from tests.recovery.desk import Caller, Desk, make_person, make_ticket
from tests.recovery.visitor import Visitor, make_shop
from tests.terminals.reports import operator, report, send

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def wide_shield(settings: Any) -> None:
    settings.REKEY_LIMITS = {"caller": "1000/hour", "sms-per-phone": "100/day", "sms-per-merchant": "100/day"}


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


@pytest.fixture
def desk() -> Desk:
    return Desk(make_person("agent"))


@pytest.fixture
def ticket(till: PairedTill, desk: Desk) -> Ticket:
    return make_ticket(till.terminal.store.merchant, desk.person)


def begun(desk: Desk, ticket: Ticket, till: PairedTill, number: str = "03") -> Verification:
    row = desk.begin(ticket, till.terminal, number)
    desk.do(row, "text")
    Caller().type_texted(row)
    desk.do(row, "start")
    row.refresh_from_db()
    return row


def carried_out(row: Verification) -> None:
    command = Command.objects.get(pk=row.recovery.command_id)
    commands.applied(command, timezone.now())


# ── the case closes itself ──────────────────────────────────────────────────────────────────────────────────


def test_a_case_closes_itself_when_its_reset_was_carried_out(
    desk: Desk, ticket: Ticket, till: PairedTill
) -> None:
    row = begun(desk, ticket, till)
    ticket.refresh_from_db()
    assert ticket.state != Ticket.State.CLOSED
    carried_out(row)
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.CLOSED and ticket.closed_at is not None
    last = ticket.entries.last()
    assert last is not None and last.author == TicketEntry.Author.SYSTEM
    assert AuditEvent.objects.get(tag=Tag.TICKET_CLOSED).actor == "system"


def test_a_case_whose_end_was_not_heard_is_closed_by_the_sweep(
    desk: Desk, ticket: Ticket, till: PairedTill
) -> None:
    row = begun(desk, ticket, till)
    Command.objects.filter(pk=row.recovery.command_id).update(state="applied", applied_at=timezone.now())
    sweep()
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.CLOSED
    sweep()
    assert AuditEvent.objects.filter(tag=Tag.TICKET_CLOSED).count() == 1


def test_a_reset_that_failed_leaves_the_case_open(desk: Desk, ticket: Ticket, till: PairedTill) -> None:
    row = begun(desk, ticket, till)
    commands.rejected(Command.objects.get(pk=row.recovery.command_id), "policy_rejected")
    ticket.refresh_from_db()
    assert ticket.state != Ticket.State.CLOSED


def test_a_case_stays_open_while_its_next_caller_is_verified(
    desk: Desk, ticket: Ticket, till: PairedTill
) -> None:
    first = begun(desk, ticket, till)
    second = desk.begin(ticket, till.terminal, "05")
    carried_out(first)
    ticket.refresh_from_db()
    assert ticket.state != Ticket.State.CLOSED
    Verification.objects.filter(pk=second.pk).update(state=Verification.State.OVER)
    carried_out(begun(desk, ticket, till, "05"))
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.CLOSED


def test_a_case_somebody_merely_got_stuck_in_is_left_to_its_agent(till: PairedTill) -> None:
    visitor = Visitor()
    recovery = visitor.dispatch()
    trouble = tickets.Trouble("waiting", "It takes long", "+8613800002046", "Nothing happens.")
    stuck = tickets.open_ticket(trouble, recovery)
    commands.applied(Command.objects.get(pk=recovery.command_id), timezone.now())
    stuck.refresh_from_db()
    assert (visitor.recovery.state, stuck.state) == (Recovery.State.DONE, Ticket.State.OPEN)


# ── anomalies ───────────────────────────────────────────────────────────────────────────────────────────────


def told() -> list[str]:
    """What was found, by matter without its id."""
    events = AuditEvent.objects.filter(tag=Tag.DESK_ANOMALY).order_by("pk")
    return [event.subject.partition(":")[0] for event in events]


def resets(ticket: Ticket, till: PairedTill, n: int, at: datetime, number: str = "03") -> None:
    """Rows as the desk leaves them, at one moment."""
    ticket.refresh_from_db()
    assert ticket.assignee is not None
    for _ in range(n):
        row = verification.start(ticket, ticket.assignee, till.terminal.number, number)
        Recovery.objects.filter(pk=row.recovery_id).update(dispatched_at=at)
        Verification.objects.filter(pk=row.pk).update(created_at=at, state=Verification.State.STARTED)


def at_hour(hour: int) -> datetime:
    """That hour of the day after tomorrow, by the clock of the installation."""
    local = timezone.localtime() + timedelta(days=2)
    return local.replace(hour=hour, minute=0, second=0, microsecond=0)


def test_a_handful_of_resets_at_night_opens_one_case(ticket: Ticket, desk: Desk, till: PairedTill) -> None:
    night = at_hour(23)
    resets(ticket, till, anomalies.AT_NIGHT - 1, night)
    anomalies.watch(night + timedelta(minutes=5))
    assert "night" not in told()
    resets(ticket, till, 1, night + timedelta(hours=2))
    anomalies.watch(night + timedelta(hours=3))
    anomalies.watch(night + timedelta(hours=3))
    assert told().count("night") == 1
    case = Ticket.objects.get(subject__contains=desk.person.username)
    assert case.merchant is None


def test_the_same_number_by_day_is_no_night_work(ticket: Ticket, desk: Desk, till: PairedTill) -> None:
    resets(ticket, till, anomalies.AT_NIGHT, at_hour(12))
    anomalies.watch(at_hour(13))
    assert "night" not in told()


def test_one_terminal_and_one_shop_reset_again_and_again(
    ticket: Ticket, desk: Desk, till: PairedTill
) -> None:
    noon = at_hour(12)
    resets(ticket, till, anomalies.OF_TERMINAL - 1, noon)
    anomalies.watch(noon + timedelta(hours=1))
    assert told() == []
    resets(ticket, till, 1, noon)
    anomalies.watch(noon + timedelta(hours=1))
    assert told() == ["terminal"]
    resets(ticket, till, anomalies.OF_SHOP - anomalies.OF_TERMINAL, noon)
    anomalies.watch(noon + timedelta(hours=1))
    assert told() == ["terminal", "merchant"]
    anomalies.watch(noon + timedelta(days=2))
    assert told() == ["terminal", "merchant"]


@pytest.mark.parametrize(("weak", "found"), [("default", ["default"]), ("common", []), (None, [])])
def test_a_factory_password_after_a_reset_of_the_supervisor(
    ticket: Ticket, desk: Desk, till: PairedTill, weak: str | None, found: list[str]
) -> None:
    resets(ticket, till, 1, timezone.now(), "00")
    done = {"state": Recovery.State.DONE, "finished_at": timezone.now()}
    Recovery.objects.filter(operator_number="00").update(**done)
    send(till, report(operator("00", weak=weak) if weak else operator("00")))
    watch_desk()
    watch_desk()
    assert told() == found
