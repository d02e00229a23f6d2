"""The list of tickets: views, search in Chinese, and no more queries for more rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.models import User
from recovery.models import Recovery, Ticket, TicketEntry
from tests.cast import make_merchant, make_staff, signed_in
from tests.recovery.visitor import Visitor, make_shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent() -> User:
    return make_staff("agent")


@pytest.fixture
def desk(agent: User) -> Client:
    return signed_in(agent)


def shown(desk: Client, **asked: str) -> set[str]:
    """Subjects in the list."""
    answer = desk.get(reverse("admin:recovery_ticket_changelist"), asked)
    assert answer.status_code == 200
    return {ticket.subject for ticket in answer.context["cl"].result_list}


def test_every_view_holds_its_tickets_and_says_how_many(desk: Client, agent: User) -> None:
    Ticket.objects.create(subject="mine", assignee=agent)
    Ticket.objects.create(subject="free")
    Ticket.objects.create(subject="waits", state=Ticket.State.WAITING, assignee=make_staff("second"))
    Ticket.objects.create(subject="over", state=Ticket.State.CLOSED, closed_at=timezone.now(), assignee=agent)
    Ticket.objects.create(subject="maker", state=Ticket.State.MANUFACTURER, assignee=make_staff("third"))
    Ticket.objects.create(subject="bank", state=Ticket.State.ACQUIRER, assignee=make_staff("fourth"))
    now = timezone.now()
    Ticket.objects.filter(subject="mine").update(next_due_at=now - timedelta(minutes=1))
    Ticket.objects.filter(subject="free").update(next_due_at=now + timedelta(minutes=30))
    held = {
        "mine": {"mine"},
        "unassigned": {"free"},
        "late": {"mine"},
        "soon": {"free"},
        "waiting": {"waits"},
        "manufacturer": {"maker"},
        "acquirer": {"bank"},
        "open": {"mine", "free", "waits", "maker", "bank"},
        "closed": {"over"},
    }
    answer = desk.get(reverse("admin:recovery_ticket_changelist"))
    assert {name: count for name, _, count in answer.context["views"]} == {
        name: len(subjects) for name, subjects in held.items()
    }
    for name, subjects in held.items():
        assert shown(desk, view=name) == subjects
    assert len(shown(desk)) == 6


def test_what_is_due_first_comes_first(desk: Client) -> None:
    now = timezone.now()
    for subject, minutes in (("later", 90), ("first", -5), ("next", 10)):
        Ticket.objects.create(subject=subject, next_due_at=now + timedelta(minutes=minutes))
    Ticket.objects.create(subject="still", state=Ticket.State.WAITING)
    answer = desk.get(reverse("admin:recovery_ticket_changelist"))
    assert [row.subject for row in answer.context["cl"].result_list] == ["first", "next", "later", "still"]


def test_a_row_says_how_long_is_left_and_for_whom_it_waits(desk: Client) -> None:
    now = timezone.now()
    urgent = Ticket.Priority.URGENT
    Ticket.objects.create(
        subject="late", priority=urgent, next_due_at=now - timedelta(minutes=125, seconds=5)
    )
    Ticket.objects.create(subject="soon", priority=urgent, next_due_at=now + timedelta(minutes=9, seconds=30))
    Ticket.objects.create(subject="still", state=Ticket.State.ACQUIRER, still_since=now)
    Ticket.objects.create(subject="over", state=Ticket.State.CLOSED, closed_at=now, solved_late=True)
    page = desk.get(reverse("admin:recovery_ticket_changelist"), headers={"accept-language": "en"})
    text = page.content.decode()
    for words in ("2 h 5 min late", "9 min left", "waiting for the acquirer</span>", "solved late"):
        assert words in text


def test_search_finds_words_in_what_was_said_and_the_shop_in_chinese_too(desk: Client) -> None:
    shop = make_merchant()
    ticket = Ticket.objects.create(subject="退不了款", merchant=shop)
    ticket.entries.create(author="merchant", text="主管密码忘了，店里有人等着")
    other = Ticket.objects.create(subject="other")
    for words in ("退不了", "主管密码", shop.legal_name[:2], shop.number, ticket.number.lower()):
        assert shown(desk, q=words) == {"退不了款"}
    assert shown(desk, q=other.number) == {"other"}
    assert shown(desk, q="没有这样的话") == set()


@pytest.mark.parametrize("odd", ["x", "", "mine'--", "\x00"])
def test_a_view_that_there_is_not_is_no_server_error(desk: Client, odd: str) -> None:
    address = reverse("admin:recovery_ticket_changelist")
    assert desk.get(address, {"view": odd}).status_code in (200, 302)


def test_a_row_says_whose_where_and_how_the_terminal_is(desk: Client) -> None:
    make_shop()
    visitor = Visitor()
    visitor.dispatch()
    visitor.post("support", phone="", text="help")
    page = desk.get(reverse("admin:recovery_ticket_changelist")).content.decode()
    ticket = Ticket.objects.get()
    assert ticket.merchant is not None
    for fact in (ticket.number, ticket.merchant.legal_name, ticket.merchant.number, 'class="health'):
        assert fact in page


def test_more_tickets_take_no_more_queries(desk: Client, django_assert_max_num_queries: Any) -> None:
    make_shop()
    visitor = Visitor()
    recovery: Recovery = visitor.dispatch()
    agents = [make_staff(f"agent-{number}") for number in range(5)]
    tickets = Ticket.objects.bulk_create(
        Ticket(
            subject=f"case {number}",
            recovery=recovery,
            merchant=recovery.merchant,
            assignee=agents[number % 5],
            created_at=timezone.now() - timedelta(minutes=number),
        )
        for number in range(120)
    )
    TicketEntry.objects.bulk_create(
        TicketEntry(ticket=row, author="merchant", text="忘了") for row in tickets
    )
    address = reverse("admin:recovery_ticket_changelist")
    desk.get(address)
    for asked in ({}, {"view": "open"}, {"q": "忘了"}, {"p": "2"}):
        with django_assert_max_num_queries(12):
            assert desk.get(address, asked).status_code == 200
