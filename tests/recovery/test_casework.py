"""Prepared answers, calls, cases opened again and cases merged."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from portal.admin_site import change_address
from portal.audit import Tag
from portal.models import AuditEvent, Merchant, User
from portal.roles import Role
from recovery.desk import canned, casework, conversation, tickets
from recovery.desk.timeline import timeline
from recovery.models import CannedReply, Ticket, TicketEntry
from tests.cast import make_member, make_merchant, make_other_merchant, signed_in
from tests.recovery.desk import in_english
from tests.recovery.visitor import PHONE, Visitor, make_shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent() -> User:
    return make_member("agent", Role.AGENT, Role.SENIOR)


@pytest.fixture
def desk(agent: User) -> Client:
    return in_english(signed_in(agent))


def opened(phone: str = PHONE, text: str = "忘了") -> Ticket:
    """A ticket of somebody without any shop."""
    Visitor().post("support", phone=phone, text=text)
    return Ticket.objects.latest("created_at")


@pytest.fixture
def ticket() -> Ticket:
    return opened()


def press(desk: Client, ticket: Ticket, key: str, **typed: Any) -> str:
    """Press a key of the page as it is now; what the page says then."""
    ticket.refresh_from_db()
    form = {"version": ticket.version, key: "1", **typed}
    page = desk.post(change_address(ticket), form, follow=True).content.decode()
    ticket.refresh_from_db()
    return page


# ── prepared answers ────────────────────────────────────────────────────────────────────────────────────────


def test_a_prepared_answer_is_put_below_what_was_typed_and_nothing_is_sent(
    desk: Client, ticket: Ticket
) -> None:
    reply = CannedReply.objects.create(name="x", text_zh="工单 {number}", text_en="Ticket {number}, {phone}")
    page = press(desk, ticket, "_insert_en", canned=reply.pk, text="Good morning")
    assert f"Good morning\n\nTicket {ticket.number}, 138****2046</textarea>" in page
    assert f"工单 {ticket.number}</textarea>" in press(desk, ticket, "_insert_zh", canned=reply.pk)
    assert not ticket.entries.filter(author="staff").exists()
    assert "Choose an answer first" in press(desk, ticket, "_insert_zh")


def test_the_numbers_that_a_prepared_answer_fills_in_are_not_covered(desk: Client, ticket: Ticket) -> None:
    Ticket.objects.update(number="R234-5678")
    reply = CannedReply.objects.create(
        name="x", text_zh="x", text_en="{number} {phone} {hotline}, code 123456"
    )
    ticket.refresh_from_db()
    text = canned.filled(reply, ticket, "en")
    press(desk, ticket, "_reply", text=text)
    assert ticket.entries.get(author="staff").text == "R234-5678 138****2046 400-000-0000, code ••••"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("5400-000-0000", "••••"),
        ("400-000-00001", "••••"),
        ("40000", "••••"),
        ("x400-000-0000", "x400-000-0000"),
    ],
)
def test_a_public_number_hides_no_secret_beside_it(text: str, kept: str) -> None:
    assert tickets.hide_secrets(text, ("400-000-0000", "")) == kept


def test_words_that_nobody_knows_are_refused_and_odd_ones_do_nothing(desk: Client, ticket: Ticket) -> None:
    address = reverse("admin:recovery_cannedreply_add")
    texts = {"name": "n", "text_zh": "{merchant.phone} {x}", "text_en": "{number}", "active": "on"}
    assert "{merchant.phone}, {x}" in desk.post(address, texts).content.decode()
    assert desk.post(address, {**texts, "text_zh": "{words}"}).status_code == 302
    odd = CannedReply(text_en="{0} {ticket} {{number}} {", text_zh="")
    assert canned.filled(odd, ticket, "en") == f"{{0}} {{ticket}} {{{ticket.number}}} {{"


def test_every_answer_that_we_ship_is_whole_in_both_languages(ticket: Ticket) -> None:
    shipped = CannedReply.objects.all()
    assert len(shipped) >= 5
    for reply in shipped:
        for language in ("zh-hans", "en"):
            text = canned.filled(reply, ticket, language)
            assert "{" not in text
            assert tickets.hide_secrets(text, tickets.public_numbers(ticket)) == text


# ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["reached", "missed", "incoming"])
def test_a_call_is_noted_with_one_key(desk: Client, ticket: Ticket, how: str) -> None:
    assert "The call is noted" in press(desk, ticket, f"_call_{how}", text="密码 123456")
    entry = ticket.entries.get(author="staff")
    assert (entry.call, entry.internal, entry.text) == (how, True, "密码 ••••")
    assert "密码 ••••" in timeline(ticket)[-1].text or any(
        "密码 ••••" in line.text for line in timeline(ticket)
    )
    assert conversation.thread(ticket)[-1].text == "忘了"


def call(desk: Client, key: str, **typed: str) -> Any:
    form = {"phone": PHONE, "text": "till 密码 123456", **typed}
    return desk.post(reverse("admin:recovery_ticket_call"), {key: "1", **form})


def test_somebody_who_calls_has_a_ticket_of_the_agent_and_nothing_is_proved(
    desk: Client, agent: User
) -> None:
    make_merchant()
    answer = call(desk, "_open", shop="898440158120031")
    ticket = Ticket.objects.get()
    assert answer.headers["Location"] == change_address(ticket)
    assert (ticket.assignee, ticket.merchant, ticket.phone) == (agent, None, "+86" + PHONE)
    assert ticket.subject == "till 密码 ••••"
    said = {entry.author: entry.text for entry in ticket.entries.all()}
    assert "898440158120031" in said["system"]
    assert said["staff"] == "till 密码 ••••"


def test_a_call_that_was_enough_is_closed_at_once(desk: Client) -> None:
    call(desk, "_solved")
    assert Ticket.objects.get().state == Ticket.State.CLOSED


@pytest.mark.parametrize(
    "wrong",
    [{"phone": ""}, {"text": ""}, {"text": "a\x00"}, {"shop": "12"}, {"text": " \n "}, {"phone": "1" * 50}],
)
def test_odd_calls_are_form_errors(desk: Client, wrong: dict[str, str]) -> None:
    assert call(desk, "_open", **wrong).status_code == 200
    assert not Ticket.objects.exists()


def test_calls_are_noted_by_those_who_may_change_tickets() -> None:
    reader = signed_in(make_member("reader", Role.AUDITOR))
    assert call(reader, "_open").status_code == 403


# ── again, and as one ───────────────────────────────────────────────────────────────────────────────────────


def test_a_closed_case_is_opened_again_by_its_agent(desk: Client, ticket: Ticket, agent: User) -> None:
    press(desk, ticket, "_close")
    assert "Open again" in desk.get(change_address(ticket)).content.decode()
    press(desk, ticket, "_reopen")
    assert (ticket.state, ticket.closed_at) == (Ticket.State.OPEN, None)
    assert AuditEvent.objects.get(tag=Tag.TICKET_REOPENED).actor == f"user:{agent.pk}"
    with pytest.raises(tickets.Stale):
        casework.reopen(ticket, agent, version=ticket.version)


def test_two_cases_of_one_phone_become_one(desk: Client, ticket: Ticket, agent: User) -> None:
    goes_on = opened(text="又忘了")
    press(desk, ticket, "_merge", into=goes_on.number.lower().replace("-", " "))
    assert (ticket.state, ticket.merged_into) == (Ticket.State.CLOSED, goes_on)
    told = " ".join(line.text for line in timeline(goes_on))
    assert "忘了" in told and "又忘了" in told
    assert [said.text for said in conversation.thread(goes_on)] == ["忘了", "又忘了"]
    assert conversation.read_instead(ticket) == goes_on
    page = desk.get(change_address(goes_on)).content.decode()
    assert ticket.number in page
    conversation.said(ticket, "and again", "visitor")
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.CLOSED
    press(desk, ticket, "_reopen")
    assert ticket.merged_into is None


def test_what_was_merged_goes_along_when_its_case_is_merged_too(desk: Client, ticket: Ticket) -> None:
    second, third = opened(), opened()
    press(desk, ticket, "_merge", into=second.number)
    press(desk, second, "_merge", into=third.number)
    assert set(third.merged.all()) == {ticket, second}


def test_cases_of_strangers_are_not_merged_for_each_would_read_the_other(
    desk: Client, ticket: Ticket
) -> None:
    other = opened("13800002054")
    assert "neither of one proved shop" in press(desk, ticket, "_merge", into=other.number)
    one, two = (make_merchant(), make_other_merchant())
    Ticket.objects.filter(pk=ticket.pk).update(merchant=one)
    Ticket.objects.filter(pk=other.pk).update(merchant=two)
    press(desk, ticket, "_merge", into=other.number)
    assert ticket.state == Ticket.State.OPEN
    Ticket.objects.filter(pk=other.pk).update(merchant=one)
    press(desk, ticket, "_merge", into=other.number)
    assert ticket.merged_into == other


def test_one_shop_with_two_phones_is_one_case_at_the_desk_and_two_for_its_callers(
    desk: Client, ticket: Ticket, agent: User
) -> None:
    other = opened("13800002054", "mine alone")
    Ticket.objects.update(merchant=make_merchant())
    press(desk, ticket, "_merge", into=other.number)
    assert [said.text for said in conversation.thread(ticket)] == ["忘了"]
    assert [said.text for said in conversation.thread(other)] == ["mine alone"]
    assert conversation.read_instead(ticket) == ticket
    tickets.close(other, agent)
    conversation.said(ticket, "again", "visitor")
    other.refresh_from_db()
    assert other.state == Ticket.State.OPEN
    assert "again" in " ".join(line.text for line in timeline(other))


@pytest.mark.parametrize("into", ["", "nonsense", "R7F3-K22B", "itself", "closed"])
def test_a_case_is_merged_into_an_open_one_that_is_another(
    desk: Client, ticket: Ticket, agent: User, into: str
) -> None:
    closed = opened()
    tickets.close(closed, agent)
    number = {"itself": ticket.number, "closed": closed.number}.get(into, into)
    page = press(desk, ticket, "_merge", into=number)
    assert "errornote" in page
    assert (ticket.state, ticket.merged_into) == (Ticket.State.OPEN, None)


@pytest.mark.parametrize("key", ["_merge", "_reopen", "_call_reached"])
def test_a_stale_page_does_none_of_it(desk: Client, ticket: Ticket, agent: User, key: str) -> None:
    into = opened()
    if key == "_reopen":
        tickets.close(ticket, agent)
    form = {"version": 77, key: "1", "into": into.number}
    assert "after you opened it" in desk.post(change_address(ticket), form).content.decode()
    ticket.refresh_from_db()
    assert ticket.merged_into is None
    assert not TicketEntry.objects.filter(author="staff").exists()


def test_a_shop_that_is_proved_names_itself_in_an_answer() -> None:
    make_shop()
    visitor = Visitor()
    visitor.dispatch()
    visitor.post("support", phone="", text="?")
    ticket, shop = Ticket.objects.get(), Merchant.objects.get()
    reply = CannedReply(text_en="{merchant}, {terminal}", text_zh="")
    assert ticket.stuck_terminal is not None
    assert (
        canned.filled(reply, ticket, "en")
        == f"{shop.legal_name}, {ticket.stuck_terminal.name} {ticket.stuck_terminal.number}"
    )
