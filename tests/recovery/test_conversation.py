"""What a merchant reads of a ticket and says to it: by a code to its phone, or signed in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.admin_site import change_address
from portal.audit import Tag
from portal.codes import derive_code
from portal.models import Allowance, AuditEvent, Merchant, Message, User
from portal.roles import Role
from portal.secrets import pepper
from recovery import tasks
from recovery.desk import conversation, following, tickets
from recovery.models import Ticket, TicketFollower
from tests.cast import make_member, make_other_merchant, make_owner, signed_in
from tests.recovery.desk import in_english
from tests.recovery.test_enumeration import kind_of, look
from tests.recovery.visitor import PHONE, SHOP, Visitor, make_shop

pytestmark = pytest.mark.django_db
E164 = "+86" + PHONE


class Merchantess:
    """Somebody at a browser who has a ticket's number and a phone."""

    def __init__(self) -> None:
        self.client = in_english(Client())

    def ask(self, number: str, phone: str = PHONE) -> Any:
        """Name the ticket and let the worker look."""
        answer = self.client.post("/support/follow", {"number": number, "phone": phone})
        for row in TicketFollower.objects.filter(resolved_at=None):
            tasks.look_for_ticket(row.pk)
        return answer

    @property
    def code(self) -> str:
        """The code that went out, or would have."""
        challenge = TicketFollower.objects.latest("created_at").challenge
        return derive_code(pepper(), challenge.seed, challenge.purpose)

    def type(self, code: str) -> Any:
        """Type a code."""
        return self.client.post("/support/follow/code", {"code": code})

    def read(self) -> str:
        """The ticket, if it is open to this browser."""
        answer = self.client.get("/support/follow/ticket")
        return answer.content.decode() if answer.status_code == 200 else ""

    def say(self, text: str) -> Any:
        """Answer on it."""
        return self.client.post("/support/follow/ticket", {"text": text}, follow=True)


@pytest.fixture
def ticket() -> Ticket:
    """A ticket without any shop, as a stranger opens it."""
    Visitor().post("support", phone=PHONE, text="忘了")
    return Ticket.objects.get()


@pytest.fixture
def agent() -> User:
    return make_member("agent", Role.AGENT)


def answered(ticket: Ticket, agent: User, text: str = "We call at ten") -> Ticket:
    """The ticket, with an answer of support."""
    ticket.refresh_from_db()
    conversation.answer(ticket, agent, text, version=ticket.version)
    ticket.refresh_from_db()
    return ticket


def codes() -> int:
    return Message.objects.filter(template="code").count()


# ── by a code ───────────────────────────────────────────────────────────────────────────────────────────────


def test_number_phone_and_code_open_the_conversation(ticket: Ticket, agent: User) -> None:
    answered(ticket, agent)
    tickets.reply(ticket, agent, "sounds nervous", version=ticket.version, internal=True)
    browser = Merchantess()
    assert browser.ask(ticket.number).headers["Location"] == "/support/follow/code"
    assert browser.read() == ""
    assert browser.type(browser.code).headers["Location"] == "/support/follow/ticket"
    page = browser.read()
    assert "忘了" in page and "We call at ten" in page
    assert "sounds nervous" not in page and "agent" not in page
    assert AuditEvent.objects.get(tag=Tag.TICKET_FOLLOWED).subject == ticket.number


def test_what_the_merchant_answers_is_covered_and_support_sees_it(ticket: Ticket, agent: User) -> None:
    browser, desk = Merchantess(), signed_in(agent)
    browser.ask(answered(ticket, agent).number)
    browser.type(browser.code)
    assert "验证码 ••••" in browser.say("验证码 １２３４５６").content.decode()
    assert "验证码 ••••" in desk.get(change_address(ticket)).content.decode()
    before = ticket.version
    ticket.refresh_from_db()
    assert ticket.version == before + 1


@pytest.mark.parametrize("text", ["", "a\x00b", "e" + "\u0301" * 100, "𠮷" * 2001])
def test_odd_words_are_form_errors(ticket: Ticket, agent: User, text: str) -> None:
    browser = Merchantess()
    browser.ask(answered(ticket, agent).number)
    browser.type(browser.code)
    assert browser.say(text).status_code == 200
    assert ticket.entries.filter(author="merchant").count() == 1


def nobody(ticket: Ticket, agent: User) -> None:
    """A number that no ticket has."""
    Ticket.objects.update(number="R7F3-K22B")


def another_phone(ticket: Ticket, agent: User) -> None:
    """The ticket has another phone."""
    Ticket.objects.update(phone="+8613800002054")


def not_answered(ticket: Ticket, agent: User) -> None:
    """Nobody has answered."""
    ticket.entries.filter(author="staff").delete()


def only_a_note(ticket: Ticket, agent: User) -> None:
    """What support wrote is for colleagues."""
    ticket.entries.filter(author="staff").update(internal=True)


@pytest.mark.parametrize("change", [nobody, another_phone, not_answered, only_a_note])
def test_strangers_see_what_the_phone_on_the_ticket_sees(ticket: Ticket, agent: User, change: Any) -> None:
    answered(ticket, agent)
    number = ticket.number

    def walk() -> list[object]:
        browser = Merchantess()
        seen: list[object] = []
        moves = (
            lambda: browser.client.post("/support/follow", {"number": number, "phone": PHONE}),
            lambda: browser.client.get("/support/follow/code"),
            lambda: browser.type("000000" if browser.code != "000000" else "000001"),
            lambda: browser.client.get("/support/follow/ticket"),
        )
        for move in moves:
            with CaptureQueriesContext(connection) as asked:
                seen.append(look(move()))
            seen.append([kind_of(query["sql"]) for query in asked.captured_queries])
        return seen

    with time_machine.travel(timezone.now(), tick=False):
        known = walk()
        TicketFollower.objects.all().delete()
        Allowance.objects.all().delete()
        change(ticket, agent)
        assert walk() == known
    browser, before = Merchantess(), codes()
    browser.ask(number)
    browser.type(browser.code)
    assert (browser.read(), codes()) == ("", before)


def test_a_registered_phone_needs_no_answer_first() -> None:
    make_shop()
    visitor = Visitor()
    visitor.prove()
    visitor.post("support", phone="", text="不懂")
    browser = Merchantess()
    browser.ask(Ticket.objects.get().number)
    browser.type(browser.code)
    assert "不懂" in browser.read()


def test_a_wrong_code_five_times_ends_it(ticket: Ticket, agent: User) -> None:
    browser = Merchantess()
    browser.ask(answered(ticket, agent).number)
    right = browser.code
    for _ in range(5):
        browser.type(f"{(int(right) + 1) % 10**6:06}")
    browser.type(right)
    assert browser.read() == ""


def test_the_page_is_open_for_twelve_hours_and_to_this_browser_only(ticket: Ticket, agent: User) -> None:
    browser = Merchantess()
    browser.ask(answered(ticket, agent).number)
    browser.type(browser.code)
    assert browser.read() and not Merchantess().read()
    TicketFollower.objects.update(proved_at=timezone.now() - following.OPEN_FOR)
    assert not browser.read()
    assert browser.say("still here").redirect_chain[0][0] == "/support/follow"


def test_a_lost_nudge_is_made_up_for(ticket: Ticket, agent: User) -> None:
    with time_machine.travel(timezone.now() - timedelta(seconds=3), tick=False):
        row = following.ask(answered(ticket, agent).number, E164, "en", "block")
    assert following.waiting_for_worker(timezone.now()) == [row.pk]
    assert following.look(row.pk) and not following.look(row.pk)
    assert following.waiting_for_worker(timezone.now()) == []


# ── a case again ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_word_of_the_merchant_opens_a_closed_or_waiting_case_again(ticket: Ticket, agent: User) -> None:
    tickets.close(ticket, agent)
    conversation.said(ticket, "still not", "visitor")
    ticket.refresh_from_db()
    assert (ticket.state, ticket.closed_at) == (Ticket.State.OPEN, None)
    assert AuditEvent.objects.get(tag=Tag.TICKET_REOPENED).actor == "visitor"
    Ticket.objects.update(state=Ticket.State.WAITING)
    conversation.said(ticket, "here it is", "visitor")
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.OPEN
    assert AuditEvent.objects.filter(tag=Tag.TICKET_REOPENED).count() == 1


def test_a_case_that_ended_long_ago_stays_closed(ticket: Ticket, agent: User) -> None:
    answered(ticket, agent)
    Ticket.objects.update(state="closed", closed_at=timezone.now() - conversation.REOPENS)
    browser = Merchantess()
    browser.ask(ticket.number)
    browser.type(browser.code)
    assert 'name="text"' not in browser.read()
    browser.say("hello?")
    assert Ticket.objects.get().state == Ticket.State.CLOSED
    assert ticket.entries.filter(author="merchant").count() == 1


def test_twenty_words_a_day_are_taken(ticket: Ticket) -> None:
    for _ in range(20):
        conversation.said(ticket, "and", "visitor")
    with pytest.raises(conversation.TooManyWords):
        conversation.said(ticket, "and", "visitor")


# ── the text that tells of an answer ────────────────────────────────────────────────────────────────────────


def test_three_answers_a_day_are_told_by_text_in_the_language_of_the_one_who_asked(agent: User) -> None:
    in_english(client := Client()).post("/support", {"phone": PHONE, "text": "help"})
    ticket = Ticket.objects.get()
    for _ in range(4):
        answered(ticket, agent)
    texts = Message.objects.filter(template="answered")
    assert {(row.locale, row.phone) for row in texts} == {("en", E164)}
    assert texts.count() == 3
    assert client.get("/support/sent").status_code == 200


def test_a_note_is_told_to_nobody(ticket: Ticket, agent: User) -> None:
    signed_in(agent).post(change_address(ticket), {"version": 0, "text": "odd", "_note": "1"})
    assert not Message.objects.filter(template="answered").exists()


# ── signed in ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def owner() -> User:
    make_shop()
    return make_owner(Merchant.objects.get(number=SHOP))


def test_an_owner_opens_reads_and_answers_a_ticket(owner: User, agent: User) -> None:
    client = in_english(signed_in(owner))
    client.post("/support", {"phone": "", "text": "the printer"})
    ticket = answered(Ticket.objects.get(), agent)
    assert (ticket.merchant, ticket.phone) == (owner.merchant, E164)
    assert ticket.number in client.get("/support/tickets").content.decode()
    client.post(reverse("recovery:case", args=[ticket.number]), {"text": "thanks"})
    page = client.get(reverse("recovery:case", args=[ticket.number])).content.decode()
    assert "the printer" in page and "We call at ten" in page and "thanks" in page


def test_others_cases_and_those_that_only_the_desk_speaks_of_are_not_there(owner: User, agent: User) -> None:
    assert owner.merchant is not None
    theirs = tickets.open_about_shop(make_other_merchant(), "code", "Theirs", "x")
    theirs.entries.create(author="merchant", text="theirs")
    desk_only = tickets.open_about_shop(owner.merchant, "watch", "An agent at night", "look at them")
    client = signed_in(owner)
    for ticket in (theirs, desk_only):
        address = reverse("recovery:case", args=[ticket.number])
        assert client.get(address).status_code == client.post(address, {"text": "x"}).status_code == 404
    assert "No tickets" in in_english(client).get("/support/tickets").content.decode()
    answered(desk_only, agent)
    page = client.get(reverse("recovery:case", args=[desk_only.number])).content.decode()
    assert "We call at ten" in page and "look at them" not in page


def test_the_list_of_cases_asks_the_database_no_more_often_for_more_of_them(
    owner: User, django_assert_max_num_queries: Any
) -> None:
    assert owner.merchant is not None
    for _ in range(25):
        ticket = tickets.open_about_shop(owner.merchant, "code", "Again", "x")
        ticket.entries.create(author="merchant", text="again")
    client = signed_in(owner)
    client.get("/support/tickets")
    with django_assert_max_num_queries(12):
        assert client.get("/support/tickets").content.decode().count("/support/tickets/") == 20
