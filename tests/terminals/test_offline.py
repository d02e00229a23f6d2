"""Answers for a terminal without a network: who gets one, how many, and what a receipt says afterwards."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from portal.models import AuditEvent
from terminals import jose, ocra, offline
from terminals.claims import ReceiptClaims, parse_receipt
from terminals.models import OfflineUnlock, Terminal, TerminalAlert
from terminals.protocol import TYP_RECEIPT, new_id
from tests.cast import PairedTill, audience, pair_on_paper

pytestmark = pytest.mark.django_db
KEY = bytes(range(32))


@pytest.fixture
def till() -> PairedTill:
    paired = pair_on_paper()
    paired.terminal.offline_key = jose.b64u(KEY)
    paired.terminal.save()
    return paired


def unlock(till: PairedTill, question: str, ref: str = "rec_0123456789abcdef") -> str:
    """What the portal does for a person who read the question from the screen."""
    challenge = offline.consider(till.terminal, "03", question)
    return offline.answer(challenge, requested_by="recovery:1", recovery_ref=ref)


def refused(till: PairedTill, question: str) -> str:
    with pytest.raises(offline.CannotUnlock) as error:
        unlock(till, question)
    return error.value.reason


def receipt(till: PairedTill, counter: int, question: str) -> ReceiptClaims:
    """A signed receipt of an unlock, as the server reads it."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": till.terminal.id, "aud": audience(), "iat": now, "jti": new_id("rcp"), "sub": "offline",
        "oc": counter, "tok": jose.digest(question), "st": "applied", "at": now, "hwm": 0,
    }  # fmt: skip
    token = till.sign(claims, TYP_RECEIPT, {})
    return parse_receipt(jose.read(token, TYP_RECEIPT, max_size=2048, algs=jose.TERMINAL_ALGS).claims(
        till.terminal.sign_key or {}
    ))  # fmt: skip


def alerts() -> int:
    return TerminalAlert.objects.filter(kind="unasked_unlock", cleared_at__isnull=True).count()


class TestAnswers:
    def test_the_answer_is_the_one_the_terminal_works_out_for_itself(self, till: PairedTill) -> None:
        question = ocra.make_question(7)
        session = ocra.session_of(till.terminal.id, "03")
        assert unlock(till, question) == ocra.response(KEY, 7, question, session)
        row = OfflineUnlock.objects.get()
        assert (row.counter, row.operator_number, row.answered_at is not None) == (7, "03", True)
        till.terminal.refresh_from_db()
        assert till.terminal.offline_counter == 7
        assert AuditEvent.objects.filter(tag="terminals:offline-unlock:answered").count() == 1

    def test_neither_question_nor_answer_is_kept(self, till: PairedTill) -> None:
        question = ocra.make_question(7)
        answer = unlock(till, question)
        kept = str(OfflineUnlock.objects.values()) + str(AuditEvent.objects.values())
        assert question not in kept and answer not in kept

    def test_a_slip_costs_nothing_and_is_told_apart(self, till: PairedTill) -> None:
        question = ocra.make_question(1)
        slip = question[:-1] + str((int(question[-1]) + 1) % 10)
        assert [refused(till, slip) for _ in range(9)] == ["slip"] * 9
        assert unlock(till, question)

    def test_no_question_is_answered_twice_and_the_counter_never_goes_back(self, till: PairedTill) -> None:
        question = ocra.make_question(9)
        assert unlock(till, question)
        assert refused(till, question) == "out_of_step"
        assert refused(till, ocra.make_question(8)) == "out_of_step"

    def test_fifty_ahead_is_answered_and_fifty_one_is_not(self, till: PairedTill) -> None:
        assert refused(till, ocra.make_question(51)) == "out_of_step"
        assert unlock(till, ocra.make_question(50))

    def test_three_answers_a_day_and_no_fourth_until_the_first_is_a_day_old(self, till: PairedTill) -> None:
        for counter in (1, 2, 3):
            unlock(till, ocra.make_question(counter))
        with pytest.raises(offline.CannotUnlock) as error:
            unlock(till, ocra.make_question(4))
        assert error.value.reason == "too_many" and 86_390 < error.value.resets_in <= 86_400
        with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=1)):
            assert unlock(till, ocra.make_question(4))

    def test_five_questions_that_are_too_old_are_enough_for_a_day(self, till: PairedTill) -> None:
        with time_machine.travel(timezone.now().replace(hour=1), tick=True):
            reasons = [refused(till, ocra.make_question(80)) for _ in range(6)]
        assert reasons == ["out_of_step"] * 5 + ["too_many"]

    @pytest.mark.parametrize("facts", [{"state": "quarantined"}, {"state": "revoked"}, {"state": "new"}])
    def test_a_terminal_that_is_not_active_gets_none(self, till: PairedTill, facts: dict[str, Any]) -> None:
        Terminal.objects.update(**facts)
        assert refused(till, ocra.make_question(1)) == "stopped"

    def test_a_terminal_opened_by_force_gets_none(self, till: PairedTill) -> None:
        Terminal.objects.update(tampered_at=timezone.now())
        assert refused(till, ocra.make_question(1)) == "stopped"

    def test_a_terminal_stopped_between_question_and_answer_gets_none(self, till: PairedTill) -> None:
        challenge = offline.consider(till.terminal, "03", ocra.make_question(1))
        Terminal.objects.update(state=Terminal.State.QUARANTINED)
        with pytest.raises(offline.CannotUnlock):
            offline.answer(challenge, requested_by="x", recovery_ref="")
        assert not OfflineUnlock.objects.exists()

    def test_two_at_once_get_one_answer(self, till: PairedTill) -> None:
        first = offline.consider(till.terminal, "03", ocra.make_question(1))
        second = offline.consider(till.terminal, "03", ocra.make_question(1))
        offline.answer(first, requested_by="x", recovery_ref="")
        with pytest.raises(offline.CannotUnlock):
            offline.answer(second, requested_by="y", recovery_ref="")

    def test_a_terminal_without_an_offline_key_gets_none(self) -> None:
        assert refused(pair_on_paper(), ocra.make_question(1)) == "no_key"

    def test_an_operator_the_portal_does_not_know_gets_none(self, till: PairedTill) -> None:
        with pytest.raises(offline.CannotUnlock) as error:
            offline.consider(till.terminal, "77", ocra.make_question(1))
        assert error.value.reason == "no_operator"

    def test_a_page_sent_twice_shows_the_same_answer_for_ten_minutes(self, till: PairedTill) -> None:
        question = ocra.make_question(1)
        answer = unlock(till, question)
        row = offline.of_recovery("rec_0123456789abcdef")
        assert row is not None
        assert offline.once_more(row, question) == answer
        assert offline.once_more(row, ocra.make_question(1)) is None
        with time_machine.travel(timezone.now() + timedelta(minutes=11)):
            assert offline.once_more(row, question) is None


class TestReceipts:
    def test_the_receipt_of_an_answered_question_is_ok_once(self, till: PairedTill) -> None:
        question = ocra.make_question(1)
        unlock(till, question)
        claims = receipt(till, 1, question)
        assert [offline.receipt(till.terminal, claims) for _ in range(2)] == ["ok", "duplicate"]
        assert OfflineUnlock.objects.get().receipt_at is not None
        assert alerts() == 0

    def test_an_unlock_nobody_here_answered_raises_an_alert_that_says_what_to_do(
        self, till: PairedTill
    ) -> None:
        claims = receipt(till, 4, ocra.make_question(4))
        assert [offline.receipt(till.terminal, claims) for _ in range(2)] == ["unknown", "duplicate"]
        alert = TerminalAlert.objects.get(kind="unasked_unlock")
        assert (alert.facts, alert.count) == ({"counter": 4, "advice": "roll_keys"}, 1)

    def test_after_it_older_questions_are_not_answered_any_more(self, till: PairedTill) -> None:
        offline.receipt(till.terminal, receipt(till, 4, ocra.make_question(4)))
        assert refused(till, ocra.make_question(3)) == "out_of_step"

    def test_another_question_under_an_answered_counter_is_a_conflict_and_an_alert(
        self, till: PairedTill
    ) -> None:
        unlock(till, ocra.make_question(1))
        assert offline.receipt(till.terminal, receipt(till, 1, ocra.make_question(1))) == "conflict"
        assert alerts() == 1
        assert OfflineUnlock.objects.get().receipt_at is None

    def test_a_new_key_starts_a_new_count(self, till: PairedTill) -> None:
        unlock(till, ocra.make_question(1))
        till.terminal.refresh_from_db()
        till.terminal.offline_key, till.terminal.offline_counter = jose.b64u(bytes(32)), 0
        till.terminal.save()
        assert unlock(till, ocra.make_question(1), ref="rec_another_one_here")
        assert OfflineUnlock.objects.count() == 2

    def test_a_clock_that_is_off_does_not_put_it_before_the_answer_or_into_the_future(
        self, till: PairedTill
    ) -> None:
        question = ocra.make_question(1)
        unlock(till, question)
        ahead = parse_ahead(receipt(till, 1, question), by=86_400)
        offline.receipt(till.terminal, ahead)
        row = OfflineUnlock.objects.get()
        assert row.receipt_at is not None and row.answered_at is not None
        assert row.answered_at <= row.receipt_at <= timezone.now()


def parse_ahead(claims: ReceiptClaims, by: int) -> ReceiptClaims:
    return ReceiptClaims(
        **{**{name: getattr(claims, name) for name in claims.__slots__}, "at": claims.at + by}
    )
