"""The way out: tickets from any step, with secrets covered, and what staff can do with them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from portal.admin_site import change_address
from portal.audit import Tag
from portal.models import AuditEvent, User
from recovery.desk import tickets
from recovery.models import Recovery, Ticket, TicketEntry
from tests.cast import make_staff, signed_in
from tests.recovery.visitor import PHONE, SHOP, Visitor, make_shop, texts_to

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def wide_shield(settings: Any) -> None:
    settings.REKEY_LIMITS = {"support": "1000/hour", "identify": "1000/hour"}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("密码 123456 不行", "密码 •••• 不行"),
        ("code １２３４５６", "code ••••"),
        ("12 34-56", "••••"),
        ("11010119900307123X", "••••"),
        ("13800002046", "••••"),
        ("操作员 03，10:41 起", "操作员 03，10:41 起"),
        ("单号 R7F3-K229", "单号 R7F3-K229"),
    ],
)
def test_what_could_be_a_secret_is_covered(said: str, kept: str) -> None:
    assert tickets.hide_secrets(said) == kept


def test_a_ticket_needs_no_recovery() -> None:
    visitor = Visitor()
    assert visitor.post("support", phone=PHONE, text="密码 123456 忘了").url == "/support/sent"
    ticket = Ticket.objects.get()
    assert (ticket.merchant, ticket.recovery, ticket.step) == (None, None, "")
    assert ticket.entries.get().text == "密码 •••• 忘了"
    assert ticket.number in visitor.get("support_sent").content.decode()
    assert Visitor().get("support_sent").url == "/support"


def test_a_ticket_knows_the_step_and_calls_the_phone_that_was_typed() -> None:
    make_shop()
    visitor = Visitor()
    visitor.prove()
    visitor.post("support", phone="", text="不懂")
    ticket = Ticket.objects.get()
    assert (ticket.step, ticket.phone, ticket.recovery) == ("choose", "+86" + PHONE, visitor.recovery)
    assert ticket.merchant == visitor.recovery.merchant
    assert visitor.recovery.state == Recovery.State.PROVED


def test_an_unproved_visitor_leaves_no_merchant_on_the_ticket() -> None:
    make_shop()
    visitor = Visitor()
    visitor.identify()
    visitor.worker()
    visitor.post("support", phone="", text="收不到短信")
    assert Ticket.objects.get().merchant is None


def test_three_cases_are_open_for_one_phone_at_most() -> None:
    for _ in range(4):
        answer = Visitor().post("support", phone=PHONE, text="忘了")
    assert answer.status_code == 200
    assert Ticket.objects.count() == 3


@pytest.mark.parametrize("text", ["", "a\x00b", "x\x07", "e" + "\u0301" * 1000, "𠮷" * 2001])
def test_odd_texts_are_form_errors(text: str) -> None:
    assert Visitor().post("support", phone=PHONE, text=text).status_code == 200
    assert not Ticket.objects.exists()


@pytest.mark.parametrize(
    "text", ["<img onerror=alert(1)>", "{{7*7}}", "👨‍👩‍👧 忘了", "ئۇيغۇرچە", "=cmd|' /C calc'!A0"]
)
def test_other_texts_are_kept_as_they_are(text: str) -> None:
    Visitor().post("support", phone=PHONE, text=text)
    assert TicketEntry.objects.get().text == text


def test_the_sixth_ticket_from_one_address_waits(settings: Any) -> None:
    settings.REKEY_LIMITS = {}
    answers = [Visitor().post("support", phone="", text="").status_code for _ in range(6)]
    assert answers == [200] * 5 + [429]


# ── staff ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def staff() -> User:
    return make_staff()


@pytest.fixture
def desk(staff: User) -> Client:
    return signed_in(staff)


@pytest.fixture
def ticket() -> Ticket:
    Visitor().post("support", phone=PHONE, text="忘了")
    return Ticket.objects.get()


def act(desk: Client, action: str, ticket: Ticket) -> None:
    url = reverse("admin:recovery_ticket_changelist")
    desk.post(url, {"action": action, "_selected_action": [ticket.pk]})
    ticket.refresh_from_db()


def test_staff_take_answer_and_close_a_ticket(desk: Client, staff: User, ticket: Ticket) -> None:
    act(desk, "take", ticket)
    assert ticket.assignee == staff
    url = change_address(ticket)
    page = desk.get(url).content.decode()
    assert "忘了" in page
    assert PHONE not in page
    assert "138****2046" in page
    desk.post(url, {"version": ticket.version, "text": "验证码 123456", "_reply": "1"})
    entry = TicketEntry.objects.get(author="staff")
    assert (entry.text, entry.user) == ("验证码 ••••", staff)
    act(desk, "close", ticket)
    assert ticket.state == Ticket.State.CLOSED
    assert ticket.closed_at is not None


def test_a_taken_ticket_stays_with_its_agent(ticket: Ticket, staff: User) -> None:
    second = make_staff("second")
    assert tickets.assign(ticket, staff)
    assert not tickets.assign(ticket, second)


def test_staff_see_a_recovery_with_its_timeline_and_no_secret(desk: Client) -> None:
    make_shop()
    visitor = Visitor()
    recovery = visitor.dispatch()
    page = desk.get(change_address(recovery)).content.decode()
    assert "recovery:recovery:proved" in page
    assert "138****2046" in page
    for secret in (PHONE, visitor.code, recovery.browser_digest):
        assert secret not in page
    assert desk.get(reverse("admin:recovery_recovery_changelist")).status_code == 200
    assert texts_to() == 1


# ── a case at the desk ──────────────────────────────────────────────────────────────────────────────────────


def press(desk: Client, ticket: Ticket, key: str, **posted: Any) -> str:
    """Press one of the keys of a case; what the page says then."""
    form = {"version": ticket.version, key: "1", **posted}
    url = change_address(ticket)
    answer = desk.post(url, form, follow=True)
    ticket.refresh_from_db()
    return answer.content.decode()


def test_only_the_agent_of_a_case_sees_whom_to_call_and_that_is_on_record() -> None:
    Visitor().post("support", phone=PHONE, text="help")
    ticket, desk = Ticket.objects.get(), signed_in(make_staff())
    assert PHONE not in press(desk, ticket, "_number")
    assert not AuditEvent.objects.filter(tag=Tag.PHONE_SHOWN).exists()
    press(desk, ticket, "_take")
    assert PHONE in press(desk, ticket, "_number")
    assert AuditEvent.objects.get(tag=Tag.PHONE_SHOWN).subject == ticket.number
    assert PHONE not in press(signed_in(make_staff("colleague")), ticket, "_number")


def test_a_case_is_closed_on_its_own_page() -> None:
    Visitor().post("support", phone=PHONE, text="help")
    ticket = Ticket.objects.get()
    press(signed_in(make_staff()), ticket, "_close")
    assert ticket.state == Ticket.State.CLOSED


def test_a_refused_supervisor_brings_shop_terminal_and_operator_along() -> None:
    make_shop()
    visitor = Visitor()
    visitor.prove()
    visitor.choose("00")
    visitor.post("support", phone="", text="help")
    brought = Ticket.objects.get().entries.get(author=TicketEntry.Author.SYSTEM).text
    assert SHOP in brought
    assert visitor.recovery.terminal is not None
    assert visitor.recovery.terminal.number in brought
    assert brought.endswith(": 00")


def test_support_leads_back_to_where_somebody_was() -> None:
    make_shop()
    visitor = Visitor()
    visitor.identify()
    assert 'href="/code"' in visitor.get("support").content.decode()
