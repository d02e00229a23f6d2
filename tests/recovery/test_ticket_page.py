"""The page of a ticket: one story, what is known beside it, and no save over what one has not read."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from portal.admin_site import change_address
from portal.audit import Tag
from portal.models import AuditEvent, User
from recovery.desk import tickets
from recovery.desk.timeline import Kind, timeline
from recovery.models import Ticket, TicketEntry
from tests.cast import make_staff, signed_in
from tests.recovery.visitor import PHONE, SHOP, Visitor, make_shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor() -> Visitor:
    make_shop()
    visitor = Visitor()
    visitor.dispatch()
    visitor.post("support", phone="", text="还是登录不了")
    return visitor


@pytest.fixture
def ticket(visitor: Visitor) -> Ticket:
    return Ticket.objects.get()


@pytest.fixture
def agent() -> User:
    return make_staff("agent")


@pytest.fixture
def desk(agent: User) -> Client:
    return signed_in(agent)


def press(desk: Client, ticket: Ticket, key: str, **typed: Any) -> str:
    """Press one of the keys of the page as it was shown; what the page says then."""
    form = {"version": ticket.version, key: "1", **typed}
    return desk.post(change_address(ticket), form, follow=True).content.decode()


def test_one_story_holds_what_was_said_sent_proved_and_carried_out_oldest_first(ticket: Ticket) -> None:
    lines = timeline(ticket)
    assert {line.kind for line in lines} == set(Kind)
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    story = " ".join(line.text for line in lines)
    assert "还是登录不了" in story
    assert "138****2046" in story
    assert PHONE not in story


def test_the_page_shows_the_story_and_what_is_known_beside_it(desk: Client, visitor: Visitor) -> None:
    ticket = Ticket.objects.get()
    page = desk.get(change_address(ticket)).content.decode()
    assert visitor.recovery.terminal is not None
    for known in (SHOP, visitor.recovery.terminal.number, "还是登录不了", "138****2046"):
        assert known in page
    for secret in (PHONE, visitor.code):
        assert secret not in page


def test_one_kind_of_lines_can_be_looked_at_alone(desk: Client, ticket: Ticket) -> None:
    page = desk.get(change_address(ticket), {"only": "text"}).content.decode()
    assert "还是登录不了" not in page
    assert "还是登录不了" in desk.get(change_address(ticket), {"only": "nonsense"}).content.decode()


def test_a_long_story_asks_the_database_no_more_often(
    desk: Client, ticket: Ticket, django_assert_max_num_queries: Any
) -> None:
    said = [TicketEntry(ticket=ticket, author="merchant", text=f"line {number}") for number in range(150)]
    TicketEntry.objects.bulk_create(said)
    AuditEvent.objects.bulk_create(
        AuditEvent(tag=Tag.TICKET_ASSIGNED.value, subject=ticket.number, actor="system") for _ in range(150)
    )
    desk.get(change_address(ticket))
    with django_assert_max_num_queries(27):
        page = desk.get(change_address(ticket)).content.decode()
    assert page.count("<li") > 300


def test_an_answer_and_a_note_are_told_apart_and_covered(desk: Client, ticket: Ticket) -> None:
    press(desk, ticket, "_reply", text="验证码 123456")
    ticket.refresh_from_db()
    press(desk, ticket, "_note", text="密码 654321")
    kept = ticket.entries.filter(author="staff").values_list("text", "internal")
    assert list(kept) == [("验证码 ••••", False), ("密码 ••••", True)]
    assert 'class="note"' in desk.get(change_address(ticket)).content.decode()


@pytest.mark.parametrize("key", ["_reply", "_note", "_close", "_hand_over"])
def test_a_stale_save_changes_nothing_and_keeps_what_was_typed(
    desk: Client, ticket: Ticket, agent: User, key: str
) -> None:
    tickets.reply(ticket, make_staff("second"), "faster", version=ticket.version)
    page = press(desk, ticket, key, text="my long answer", to=agent.pk)
    assert "my long answer" in page
    assert "faster" in page
    assert list(ticket.entries.filter(author="staff").values_list("text", flat=True)) == ["faster"]
    ticket.refresh_from_db()
    assert (ticket.state, ticket.assignee, ticket.version) == (Ticket.State.OPEN, None, 1)
    press(desk, ticket, key, text="my long answer", to=agent.pk)
    ticket.refresh_from_db()
    assert ticket.version == 2


def test_a_closed_case_takes_no_more_words(desk: Client, ticket: Ticket, agent: User) -> None:
    tickets.close(ticket, agent)
    ticket.refresh_from_db()
    press(desk, ticket, "_reply", text="too late")
    assert not ticket.entries.filter(author="staff").exists()


def test_a_case_is_handed_over_with_a_note(desk: Client, ticket: Ticket, agent: User) -> None:
    second = make_staff("second")
    press(desk, ticket, "_hand_over", text="she speaks Cantonese", to=second.pk)
    ticket.refresh_from_db()
    assert ticket.assignee == second
    assert ticket.entries.get(author="staff").internal
    event = AuditEvent.objects.get(tag=Tag.TICKET_ASSIGNED)
    assert (event.actor, event.facts) == (f"user:{agent.pk}", {"to": f"user:{second.pk}"})


def test_a_case_goes_to_support_staff_only(desk: Client, ticket: Ticket) -> None:
    owner = User.objects.create(username="owner-of-a-shop", is_staff=False)
    for to in (owner.pk, "", "x"):
        press(desk, ticket, "_hand_over", to=to)
        ticket.refresh_from_db()
        assert ticket.assignee is None


def test_two_agents_see_each_other_for_a_minute(desk: Client, ticket: Ticket, agent: User) -> None:
    colleague = make_staff("colleague")
    signed_in(colleague).get(change_address(ticket))
    assert "colleague" in desk.get(change_address(ticket)).context["others"][0].username
    ticket.viewers.update(seen_at=timezone.now() - tickets.LOOKING)
    assert desk.get(change_address(ticket)).context["others"] == []


@pytest.mark.parametrize("form", [{}, {"_reply": "1"}, {"_reply": "1", "version": "x", "text": "a"}])
def test_odd_forms_are_answered_and_change_nothing(
    desk: Client, ticket: Ticket, form: dict[str, str]
) -> None:
    assert desk.post(change_address(ticket), form).status_code == 200
    assert not ticket.entries.filter(author="staff").exists()


def test_who_may_only_look_is_given_no_keys(ticket: Ticket) -> None:
    reader = make_staff("reader", superuser=False)
    client = signed_in(reader)
    assert client.get(change_address(ticket)).status_code == 403
    assert client.post(change_address(ticket), {"_close": "1", "version": 0}).status_code == 403
