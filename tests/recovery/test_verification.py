"""Callers are verified, and only then is a reset started, with a second person for 00 and 99."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils import timezone

from portal import addresses
from portal.audit import Tag
from portal.models import Address, AuditEvent, Message, User
from recovery import endings
from recovery.authority import decide
from recovery.desk import assisted, panel, verification, words
from recovery.desk.verification import Refused
from recovery.gates.evidence import Stated
from recovery.models import Recovery, Statement, Ticket, Verification
from recovery.tasks import sweep
from terminals import requests
from terminals.models import Command
from tests.cast import PairedTill, make_other_merchant, make_terminal
from tests.recovery.desk import Caller, Desk, code_of, make_person, make_ticket, now, shown_to
from tests.recovery.visitor import make_shop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def wide_shield(settings: Any) -> None:
    settings.REKEY_LIMITS = {"caller": "1000/hour"}


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


@pytest.fixture
def agent() -> User:
    return make_person("agent")


@pytest.fixture
def desk(agent: User) -> Desk:
    return Desk(agent)


@pytest.fixture
def second() -> Desk:
    return Desk(make_person("second"))


@pytest.fixture
def ticket(till: PairedTill, agent: User) -> Ticket:
    return make_ticket(till.terminal.store.merchant, agent)


def verified(desk: Desk, ticket: Ticket, till: PairedTill, operator: str = "03") -> Verification:
    row = desk.begin(ticket, till.terminal, operator)
    desk.do(row, "text")
    Caller().type_texted(row)
    if operator in {"00", "99"}:
        desk.read_screen(row, requests.open_request(till.terminal, operator))
    return row


# ── the day of an agent ─────────────────────────────────────────────────────────────────────────────────────


def test_an_ordinary_operator_is_reset_after_the_caller_typed_the_code(
    desk: Desk, ticket: Ticket, till: PairedTill
) -> None:
    row = desk.begin(ticket, till.terminal)
    assert "Not enough yet" in desk.look(row)
    desk.do(row, "text")
    assert "Right. Go on talking" in Caller().type_texted(row).content.decode()
    assert "The caller is verified." in desk.look(row)
    desk.do(row, "start")
    command = Command.objects.get()
    assert (command.state, command.args, command.sealed) == ("queued", {"choose": True}, "")
    assert command.requested_by == f"user:{desk.person.pk}"
    row.refresh_from_db()
    assert (row.state, row.recovery.state, row.recovery.command) == ("started", "dispatched", command)


def test_the_supervisor_waits_for_a_second_person(
    desk: Desk, second: Desk, ticket: Ticket, till: PairedTill
) -> None:
    row = verified(desk, ticket, till, "00")
    desk.do(row, "start")
    command = Command.objects.get()
    assert command.state == "pending_approval"
    assert "Yes, let it go" not in desk.look(row)
    second.do(row, "approve", shown=shown_to(second, row))
    command.refresh_from_db()
    row.refresh_from_db()
    assert (command.state, command.approved_by) == ("queued", f"user:{second.person.pk}")
    assert (row.state, row.decided_by) == ("started", second.person)
    # The life of the command begins with the yes, not with the question.
    assert command.expires_at > row.expires_at


def test_the_second_person_may_say_no(desk: Desk, second: Desk, ticket: Ticket, till: PairedTill) -> None:
    row = verified(desk, ticket, till, "99")
    desk.do(row, "start")
    second.do(row, "deny")
    assert Command.objects.get().state == "cancelled"
    row.refresh_from_db()
    assert (row.state, row.recovery.state) == ("refused", "failed")


def test_the_supervisor_needs_two_proofs(desk: Desk, ticket: Ticket, till: PairedTill) -> None:
    row = desk.begin(ticket, till.terminal, "00")
    desk.do(row, "text")
    Caller().type_texted(row)
    desk.do(row, "number")
    desk.do(row, "called")
    desk.do(row, "start")
    assert Command.objects.count() == 0
    assert AuditEvent.objects.get(tag=Tag.VERIFICATION_REFUSED).facts == {"reason": "support"}


def test_everybody_on_file_is_told_at_once_with_the_number_that_stops_it(
    desk: Desk, ticket: Ticket, till: PairedTill
) -> None:
    merchant = till.terminal.store.merchant
    for holder, value in (("owner", "li@example.com"), ("contact", "wu@example.com")):
        facts = {"kind": "email", "holder": holder, "name": holder, "value": value}
        Address.objects.create(merchant=merchant, digest=addresses.digest_of(value), **facts)
    row = verified(desk, ticket, till)
    desk.do(row, "start")
    assert Message.objects.filter(template="desk-reset").count() == 3


def test_the_journey_ends_with_its_command(desk: Desk, ticket: Ticket, till: PairedTill) -> None:
    row = verified(desk, ticket, till)
    desk.do(row, "start")
    command = Command.objects.get()
    Command.objects.filter(pk=command.pk).update(state="applied")
    command.refresh_from_db()
    assert endings.close(command, "hotline")
    row.recovery.refresh_from_db()
    assert row.recovery.state == "done"


# ── codes ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_T43_no_page_of_the_desk_shows_a_code(desk: Desk, ticket: Ticket, till: PairedTill) -> None:
    row = desk.begin(ticket, till.terminal)
    answer = desk.do(row, "text")
    code = code_of(row.recovery.challenge)
    for text in (answer.content.decode(), desk.look(row)):
        assert code not in text
    assert not [fact for fact in AuditEvent.objects.values_list("facts", flat=True) if code in str(fact)]


def test_a_ticket_that_is_not_there_is_answered_like_a_wrong_code(
    desk: Desk, ticket: Ticket, till: PairedTill
) -> None:
    row = desk.begin(ticket, till.terminal)
    desk.do(row, "text")
    quiet = make_ticket(till.terminal.store.merchant)
    right = code_of(row.recovery.challenge)
    wrong = f"{(int(right) + 1) % 10**6:06}"

    def answer(number: str) -> str:
        sent = Caller().client.post(reverse("recovery:caller"), {"ticket": number, "code": wrong})
        text = re.sub(r'(csrfmiddlewaretoken" value=|nonce[-=])"?[^"\s>]+', "", sent.content.decode())
        return f"{sent.status_code} {text.replace(number, '')}"

    assert answer(ticket.number) == answer(quiet.number) == answer("BBBB-BBBB")


def test_the_code_goes_to_the_phone_on_record_and_not_to_the_one_that_was_typed(
    desk: Desk, till: PairedTill, agent: User
) -> None:
    ticket = make_ticket(till.terminal.store.merchant, agent)
    Ticket.objects.filter(pk=ticket.pk).update(phone="+8613800009999")
    row = desk.begin(ticket, till.terminal)
    desk.do(row, "text")
    assert Message.objects.get(template="desk-code").to == "+8613800002046"
    assert "13800002046" in desk.do(row, "number").content.decode()


def test_the_worker_sends_no_second_text(desk: Desk, ticket: Ticket, till: PairedTill) -> None:
    row = desk.begin(ticket, till.terminal)
    desk.do(row, "text")
    sweep()
    assert Message.objects.count() == 1


def test_five_wrong_codes_and_the_right_one_comes_too_late(
    desk: Desk, ticket: Ticket, till: PairedTill
) -> None:
    row = desk.begin(ticket, till.terminal)
    desk.do(row, "text")
    right = code_of(row.recovery.challenge)
    for _try in range(5):
        Caller().type(ticket, f"{(int(right) + 1) % 10**6:06}")
    Caller().type_texted(row)
    assert not row.recovery.proofs.exists()


# ── the rest of the evidence ────────────────────────────────────────────────────────────────────────────────


def test_the_screen_has_to_be_this_terminals_and_this_operators(
    desk: Desk, ticket: Ticket, till: PairedTill
) -> None:
    row = desk.begin(ticket, till.terminal, "03")
    other = requests.open_request(till.terminal, "05")
    desk.read_screen(row, other)
    assert not row.recovery.proofs.exists()
    shown = requests.open_request(till.terminal, "03")
    desk.do(row, "screen", code=shown.user_code, number=str(int(shown.match) % 90 + 10 + 1)[:2])
    assert not row.recovery.proofs.exists()
    desk.read_screen(row, shown)
    assert row.recovery.proofs.get().method == "possession"


def test_a_call_back_is_stated_only_after_the_number_was_shown(
    desk: Desk, ticket: Ticket, till: PairedTill
) -> None:
    row = desk.begin(ticket, till.terminal)
    desk.do(row, "called")
    assert not row.statements.exists()
    desk.do(row, "number")
    desk.do(row, "called")
    desk.do(row, "called")
    assert row.statements.get().what == Stated.CALL_BACK
    assert AuditEvent.objects.filter(tag=Tag.PHONE_SHOWN, subject=ticket.number).count() == 1


def test_of_a_document_its_end_and_a_digest_are_kept_and_it_counts_when_somebody_else_filed_it(
    desk: Desk, second: Desk, ticket: Ticket, till: PairedTill
) -> None:
    number = "91350100M000100Y43"
    earlier = second.begin(make_ticket(till.terminal.store.merchant, second.person), till.terminal)
    second.do(earlier, "document", kind="licence", document=number)
    filed = Statement.objects.get()
    assert (filed.last_four, filed.matches, len(filed.digest)) == ("0Y43", None, 64)
    Statement.objects.update(at=timezone.now() - timedelta(hours=73))
    Verification.objects.update(state="started")
    Recovery.objects.update(state="done")
    row = desk.begin(ticket, till.terminal)
    wrong = desk.do(row, "document", kind="licence", document="9" * 18)
    assert "The check digit is wrong" in wrong.content.decode()
    desk.do(row, "document", kind="licence", document=number.lower())
    assert row.statements.get().matches is True
    assert number not in str(list(AuditEvent.objects.values())) + desk.look(row)


def test_a_new_verification_ends_the_one_before_with_all_it_had(
    desk: Desk, ticket: Ticket, till: PairedTill
) -> None:
    first = verified(desk, ticket, till)
    again = desk.begin(ticket, till.terminal, "05")
    first.refresh_from_db()
    assert first.state == "over" and again.pk != first.pk
    assert decide(first.recovery, "03").reason == "support"
    desk.do(first, "start")
    assert Command.objects.count() == 0


@pytest.mark.parametrize("why", ["time", "ticket closed", "ticket handed over", "phone changed"])
def test_what_was_gathered_counts_no_more(why: str, desk: Desk, ticket: Ticket, till: PairedTill) -> None:
    row = verified(desk, ticket, till)
    if why == "time":
        Verification.objects.update(expires_at=timezone.now())
    elif why == "ticket closed":
        Ticket.objects.update(state="closed")
    elif why == "ticket handed over":
        Ticket.objects.update(assignee=make_person("third"))
    else:
        merchant = till.terminal.store.merchant
        merchant.phone = "+8613800009999"
        merchant.save()
    desk.do(row, "start")
    assert Command.objects.count() == 0


def test_a_terminal_of_another_shop_is_out_of_a_tickets_reach(desk: Desk, ticket: Ticket) -> None:
    foreign = make_terminal(make_other_merchant())
    with pytest.raises(Refused, match="terminal"):
        verification.start(ticket, desk.person, foreign.number, "03")


# ── two words, and the ticket's page ────────────────────────────────────────────────────────────────────────


def test_two_words_are_the_same_on_both_sides_for_a_day(desk: Desk, ticket: Ticket, till: PairedTill) -> None:
    row = desk.begin(ticket, till.terminal)
    desk.do(row, "text")
    assert all(pair in desk.look(row) for pair in words.in_both(ticket.number))
    assert words.of_ticket(ticket.number, "en") in Caller().type_texted(row).content.decode()
    tomorrow = timezone.localdate() + timedelta(days=1)
    days = {words.of_ticket(ticket.number, "en", tomorrow + timedelta(days=day)) for day in range(30)}
    assert len(days) > 25


def test_the_word_lists_are_64_by_64_in_both_languages_and_no_word_is_twice() -> None:
    for lists in (words.FIRST, words.SECOND):
        assert {language: len(set(said)) for language, said in lists.items()} == {"en": 64, "zh-hans": 64}
    for language in ("en", "zh-hans"):
        assert not set(words.FIRST[language]) & set(words.SECOND[language])


def test_the_panel_says_what_comes_next(desk: Desk, second: Desk, ticket: Ticket, till: PairedTill) -> None:
    def seen(person: User) -> tuple[str, bool]:
        shown = panel.panel(ticket, person)["verification_panel"]
        return shown["state"], shown["may_approve"]

    assert seen(desk.person) == ("", False)
    row = verified(desk, ticket, till, "00")
    assert seen(desk.person) == ("open", False)
    desk.do(row, "start")
    assert (seen(desk.person), seen(second.person)) == (("asked", False), ("asked", True))
    Verification.objects.update(expires_at=timezone.now())
    assert seen(second.person) == ("over", False)


def test_the_list_of_verifications_leads_to_their_pages(desk: Desk, ticket: Ticket, till: PairedTill) -> None:
    row = desk.begin(ticket, till.terminal)
    listed = desk.client.get(reverse("admin:recovery_verification_changelist")).content.decode()
    assert ticket.number in listed
    change = reverse("admin:recovery_verification_change", args=[quote(row.pk)])
    assert desk.client.get(change)["Location"] == reverse("admin:recovery_verification_page", args=[row.pk])


def test_nothing_is_decided_with_a_stale_second_factor(agent: User, ticket: Ticket, till: PairedTill) -> None:
    stale = Desk(agent, fresh=False)
    row = verified(stale, ticket, till)
    assert stale.do(row, "start").redirect_chain[0][0].startswith("/admin/confirm/?next=")
    with pytest.raises(Refused, match="stale"):
        assisted.start(row, agent, now() - 601)
    assert Command.objects.count() == 0
