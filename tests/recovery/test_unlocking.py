"""A terminal without a network: its digits are answered after the same gates, once, and the phone is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from portal.models import AuditEvent, Message
from recovery import unlocking
from recovery.models import Recovery
from terminals import jose, ocra, offline, requests
from terminals.models import Command, OfflineUnlock, Terminal
from tests.cast import PairedTill, make_owner, signed_in
from tests.recovery.visitor import PHONE, Visitor, make_shop, texts_to

pytestmark = pytest.mark.django_db
State = Recovery.State
KEY = bytes(range(32))
PLUS = "+86" + PHONE


@pytest.fixture
def till() -> PairedTill:
    paired = make_shop()
    paired.terminal.offline_key = jose.b64u(KEY)
    paired.terminal.save()
    return paired


@pytest.fixture
def chosen(till: PairedTill) -> Visitor:
    """A visitor, reading English, who has proved and chosen 03."""
    visitor = Visitor(Client(headers={"Accept-Language": "en"}))
    visitor.prove()
    visitor.choose()
    return visitor


def answer_of(till: PairedTill, counter: int, question: str, operator: str = "03") -> str:
    return ocra.response(KEY, counter, question, ocra.session_of(till.terminal.id, operator))


def words(answer: Any) -> str:
    return str(answer.content.decode())


def grouped(digits: str) -> str:
    return f"{digits[:4]} {digits[4:]}"


class TestTheAnswer:
    def test_the_digits_on_the_screen_get_the_answer_that_the_terminal_expects(
        self, chosen: Visitor, till: PairedTill
    ) -> None:
        question = ocra.make_question(1)
        page = chosen.ask_offline(question)
        assert page.status_code == 200 and "no-store" in page["Cache-Control"]
        assert grouped(answer_of(till, 1, question)) in words(page)
        recovery = chosen.recovery
        assert (recovery.state, recovery.reason) == (State.DONE, unlocking.ANSWERED)
        row = OfflineUnlock.objects.get()
        assert (row.recovery_ref, row.operator_number) == (recovery.id, "03")

    def test_it_is_shown_once_and_a_later_look_tells_what_became_of_it(
        self, chosen: Visitor, till: PairedTill
    ) -> None:
        question = ocra.make_question(1)
        chosen.ask_offline(question)
        later = words(chosen.get("offline"))
        assert grouped(answer_of(till, 1, question)) not in later
        OfflineUnlock.objects.update(receipt_at=timezone.now())
        assert words(chosen.get("offline")) != later

    def test_a_page_sent_twice_shows_it_again_without_spending_another(
        self, chosen: Visitor, till: PairedTill
    ) -> None:
        question = ocra.make_question(1)
        pages = [words(chosen.ask_offline(question)) for _ in range(2)]
        shown = grouped(answer_of(till, 1, question))
        assert all(shown in page for page in pages)
        assert OfflineUnlock.objects.count() == 1

    def test_another_question_after_that_gets_nothing(self, chosen: Visitor) -> None:
        chosen.ask_offline(ocra.make_question(1))
        assert chosen.ask_offline(ocra.make_question(2)).url == "/offline"
        assert OfflineUnlock.objects.count() == 1

    def test_neither_question_nor_answer_is_kept_or_logged(
        self, chosen: Visitor, till: PairedTill, capfd: pytest.CaptureFixture[str]
    ) -> None:
        question = ocra.make_question(1)
        chosen.ask_offline(question)
        logged = "".join(capfd.readouterr())
        rows = [model.objects.values() for model in (AuditEvent, Recovery, OfflineUnlock, Message)]
        for secret in (question, answer_of(till, 1, question)):
            assert secret not in logged and secret not in str([list(each) for each in rows])

    def test_the_phone_is_told(self, chosen: Visitor) -> None:
        chosen.ask_offline(ocra.make_question(1))
        assert texts_to(template="unlocking") == 1
        told = Message.objects.get(template="unlocking").facts
        assert set(told) == {"operator", "terminal", "number", "hotline"}

    def test_it_is_another_answer_for_another_operator(self, till: PairedTill) -> None:
        question = ocra.make_question(1)
        assert answer_of(till, 1, question, "03") != answer_of(till, 1, question, "05")


class TestWhatIsRefused:
    def refused(self, visitor: Visitor, question: str) -> str:
        page = visitor.ask_offline(question)
        assert page.status_code == 200
        assert not OfflineUnlock.objects.exists()
        return words(page)

    def test_a_slip_of_the_fingers_is_caught_and_costs_nothing(self, chosen: Visitor) -> None:
        question = ocra.make_question(1)
        slip = question[:3] + question[4] + question[3] + question[5:]
        if slip == question:
            slip = question[:-1] + str((int(question[-1]) + 1) % 10)
        for _ in range(7):
            assert "Check the number" in self.refused(chosen, slip)
        assert chosen.ask_offline(question).status_code == 200
        assert OfflineUnlock.objects.exists()

    @pytest.mark.parametrize("typed", ["", "123", "12345678901", "x" * 10, "１２"])
    def test_what_is_not_ten_digits_is_a_form_error(self, chosen: Visitor, typed: str) -> None:
        self.refused(chosen, typed)

    def test_a_number_seen_before_is_too_old(self, chosen: Visitor) -> None:
        Terminal.objects.update(offline_counter=5)
        assert "too old" in self.refused(chosen, ocra.make_question(5))

    def test_the_fourth_answer_of_a_day_has_to_wait(self, till: PairedTill, settings: Any) -> None:
        settings.REKEY_LIMITS = {"sms-per-phone": "99/day", "identify": "99/hour"}
        for counter in (1, 2, 3, 4):
            visitor = Visitor()
            visitor.prove()
            visitor.choose()
            visitor.ask_offline(ocra.make_question(counter))
        assert OfflineUnlock.objects.count() == 3
        assert visitor.recovery.state == State.SETTING

    @pytest.mark.parametrize("facts", [{"state": "quarantined"}, {"tampered_at": timezone.now()}])
    def test_a_terminal_stopped_or_opened_by_force_gets_no_answer(
        self, chosen: Visitor, facts: dict[str, Any]
    ) -> None:
        Terminal.objects.update(**facts)
        assert chosen.ask_offline(ocra.make_question(1)).status_code == 302
        assert not OfflineUnlock.objects.exists()

    def test_a_terminal_without_an_offline_key_has_no_such_page(self, chosen: Visitor) -> None:
        Terminal.objects.update(offline_key="")
        assert chosen.get("offline").url == "/password"
        assert 'href="/offline"' not in words(chosen.get("password"))

    @pytest.mark.parametrize("number", ["00", "99"])
    def test_T34_the_gates_are_those_of_any_reset(self, chosen: Visitor, number: str) -> None:
        Recovery.objects.update(operator_number=number)
        self.refused(chosen, ocra.make_question(1))

    def test_before_the_proof_there_is_no_page(self, till: PairedTill) -> None:
        visitor = Visitor()
        visitor.identify()
        visitor.worker()
        assert visitor.get("offline").url == "/code"
        visitor.post("code", code=visitor.code)
        assert visitor.get("offline").url == "/operator"

    def test_a_form_about_something_else_is_refused(self, chosen: Visitor) -> None:
        chosen.post("offline", question=ocra.make_question(1), subject="other")
        assert not OfflineUnlock.objects.exists()


class TestAfterAPasswordWasSent:
    def test_the_one_on_its_way_is_withdrawn_for_the_newer_one(
        self, chosen: Visitor, till: PairedTill
    ) -> None:
        chosen.set_password()
        assert 'href="/offline"' in words(chosen.get("status"))
        chosen.ask_offline(ocra.make_question(1))
        command = Command.objects.get()
        assert (command.state, command.sealed) == (Command.State.CANCELLED, "")
        recovery = chosen.recovery
        assert (recovery.state, recovery.reason) == (State.DONE, unlocking.ANSWERED)
        assert chosen.get("status").url == "/offline"

    def test_and_so_is_one_that_another_browser_sent_for_the_operator(
        self, chosen: Visitor, till: PairedTill, settings: Any
    ) -> None:
        other = Visitor()
        other.dispatch()
        chosen.ask_offline(ocra.make_question(1))
        assert Command.objects.get().state == Command.State.CANCELLED
        assert other.recovery.state == State.FAILED

    def test_once_the_terminal_has_fetched_it_there_is_a_network(
        self, chosen: Visitor, till: PairedTill
    ) -> None:
        chosen.set_password()
        Command.objects.update(state=Command.State.FETCHED, fetched_at=timezone.now())
        assert chosen.get("offline").url == "/status"
        assert chosen.ask_offline(ocra.make_question(1)).url == "/status"

    def test_an_old_proof_is_not_enough(self, chosen: Visitor) -> None:
        chosen.set_password()
        with time_machine.travel(timezone.now() + timedelta(minutes=31)):
            assert chosen.get("offline").url == "/status"
            assert 'href="/offline"' not in words(chosen.get("status"))


class TestTheOwnersWay:
    def test_an_owner_reaches_it_from_the_terminals_page(self, till: PairedTill) -> None:
        client = signed_in(make_owner(till.terminal.store.merchant))
        visitor = Visitor(client)
        visitor.client.post(f"/start/{till.terminal.pk}/03")
        visitor.worker()
        visitor.post("code", code=visitor.code)
        assert 'href="/offline"' in words(visitor.get("password"))
        assert visitor.ask_offline(ocra.make_question(1)).status_code == 200
        assert OfflineUnlock.objects.get().requested_by.startswith("user:")

    def test_who_says_so_from_the_start_is_asked_for_the_digits_instead_of_a_password(
        self, till: PairedTill
    ) -> None:
        visitor = Visitor(signed_in(make_owner(till.terminal.store.merchant)))
        assert visitor.client.get(f"/start/{till.terminal.pk}/offline").status_code == 200
        visitor.client.post(f"/start/{till.terminal.pk}/offline")
        visitor.worker()
        assert visitor.post("code", code=visitor.code).url == "/operator"
        assert visitor.choose().url == "/offline"
        assert visitor.get("password").status_code == 200

    def test_and_is_told_when_the_terminal_has_no_key_for_it(self, till: PairedTill) -> None:
        Terminal.objects.update(offline_key="")
        visitor = Visitor(signed_in(make_owner(till.terminal.store.merchant)))
        assert "notice--wait" in words(visitor.client.get(f"/start/{till.terminal.pk}/offline"))
        visitor.client.post(f"/start/{till.terminal.pk}/offline")
        visitor.worker()
        visitor.post("code", code=visitor.code)
        assert visitor.choose().url == "/password"

    def test_phone_and_screen_open_the_supervisor_offline_as_well(self, till: PairedTill) -> None:
        shown = requests.open_request(till.terminal, "00")
        visitor = Visitor()
        visitor.prove_at(shown)
        visitor.post("match", number=shown.match)
        question = ocra.make_question(1)
        assert grouped(answer_of(till, 1, question, "00")) in words(visitor.ask_offline(question))
        assert offline.of_recovery(visitor.recovery.id) is not None
