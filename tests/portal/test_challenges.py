"""Challenges: attempts are spent before they are compared, sends are slots, nothing is reusable (T10–T14)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.utils import timezone

from portal import challenges
from portal.challenges import Outcome, Resend, check, open_challenge, resend, send, take_send
from portal.codes import derive_code
from portal.models import Challenge, Message
from portal.secrets import pepper
from tests.portal.parallel import in_parallel

PHONE = "+8613800002046"


def code_of(challenge: Challenge) -> str:
    return derive_code(pepper(), challenge.id, challenge.purpose)


def wrong_code(challenge: Challenge) -> str:
    return f"{(int(code_of(challenge)) + 1) % 1_000_000:06}"


def opened() -> Challenge:
    return open_challenge("recovery", "rec_1", PHONE)


def judge(challenge: Challenge, text: str) -> Outcome:
    return check(challenge.id, challenge.purpose, challenge.subject, text)


# ── one at a time ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_the_right_code_is_right_once() -> None:
    challenge = opened()
    assert judge(challenge, code_of(challenge)) == Outcome(True, "ok", 0)
    assert judge(challenge, code_of(challenge)) == Outcome(False, "used", 0)


@pytest.mark.django_db
def test_five_wrong_codes_burn_the_challenge() -> None:
    challenge = opened()
    left = [judge(challenge, wrong_code(challenge)) for _ in range(5)]
    assert [(outcome.reason, outcome.tries_left) for outcome in left] == [
        ("wrong", n) for n in (4, 3, 2, 1, 0)
    ]
    assert judge(challenge, code_of(challenge)) == Outcome(False, "exhausted", 0)


@pytest.mark.django_db
@pytest.mark.parametrize("typed", ["12345", "1234567", "+12345", "12345_", "12345²", "", "x" * 10_000])
def test_what_cannot_be_a_code_costs_no_try(typed: str) -> None:
    challenge = opened()
    assert judge(challenge, typed) == Outcome(False, "malformed", 5)
    challenge.refresh_from_db()
    assert challenge.attempts == 0


@pytest.mark.django_db
def test_full_width_digits_and_a_space_are_forgiven() -> None:
    challenge = opened()
    wide = code_of(challenge).translate({ord(str(n)): 0xFF10 + n for n in range(10)})
    assert judge(challenge, f"{wide[:3]} {wide[3:]}").ok


@pytest.mark.django_db
def test_a_decoy_spends_tries_and_cannot_be_met() -> None:
    decoy = open_challenge("recovery", "rec_1", "")
    assert judge(decoy, code_of(decoy)) == Outcome(False, "wrong", 4)
    assert judge(decoy, wrong_code(decoy)) == Outcome(False, "wrong", 3)
    assert send(decoy, "code", "zh-hans") is None
    decoy.refresh_from_db()
    assert decoy.sends == 1


@pytest.mark.django_db
def test_a_stranger_is_told_what_a_wrong_code_is_told(
    django_assert_num_queries: Callable[..., AbstractContextManager[object]],
) -> None:
    known, stranger = opened(), opened()
    with django_assert_num_queries(10):  # SAVEPOINT, spend, RELEASE, read, then the counts of wrong codes
        told = judge(known, wrong_code(known))
    with django_assert_num_queries(10):
        assert check(stranger.id, "recovery", "rec_1", code_of(stranger), accept=False) == told


def after(minutes: float) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=False)


def use(challenge: Challenge) -> Outcome:
    outcome = judge(challenge, code_of(challenge))
    assert outcome.ok
    return outcome


def burn(challenge: Challenge) -> Outcome:
    return [judge(challenge, wrong_code(challenge)) for _ in range(5)][-1]


# T13: nine ways to use a code that is not, or no longer, meant for this.
MISUSES: dict[str, Callable[[Challenge, str], Outcome]] = {
    "twice": lambda c, code: [use(c), judge(c, code)][-1],
    "after five wrong ones": lambda c, code: [burn(c), judge(c, code)][-1],
    "for another challenge": lambda c, code: check(opened().id, c.purpose, c.subject, code),
    "for another purpose": lambda c, code: check(c.id, "sign-in", c.subject, code),
    "for another subject": lambda c, code: check(c.id, c.purpose, "rec_2", code),
    "for a challenge that is not": lambda c, code: check("none", c.purpose, c.subject, code),
    "for a stranger": lambda c, code: check(c.id, c.purpose, c.subject, code, accept=False),
    "from the other purpose's derivation": lambda c, _: judge(c, derive_code(pepper(), c.id, "sign-in")),
}


@pytest.mark.django_db
@pytest.mark.parametrize("misuse", MISUSES)
def test_T13_a_code_cannot_be_used(misuse: str) -> None:
    challenge = opened()
    assert not MISUSES[misuse](challenge, code_of(challenge)).ok


@pytest.mark.django_db
def test_T13_a_code_cannot_be_used_after_ten_minutes() -> None:
    challenge = opened()
    with after(9.9):
        assert judge(challenge, wrong_code(challenge)).reason == "wrong"
    with after(10.01):
        assert judge(challenge, code_of(challenge)) == Outcome(False, "expired", 0)


@pytest.mark.django_db
def test_T13_a_resend_repeats_the_code_and_gives_no_tries_back() -> None:
    challenge = opened()
    assert send(challenge, "code", "zh-hans") is not None
    judge(challenge, wrong_code(challenge))
    before = code_of(challenge)
    with after(1.1):
        assert resend(challenge.id, "code", "zh-hans").sent
        challenge.refresh_from_db()
        assert (code_of(challenge), challenge.attempts) == (before, 1)
        assert judge(challenge, before).ok


@pytest.mark.django_db
def test_T14_sends_are_a_minute_apart_and_three_in_all() -> None:
    challenge = opened()
    assert send(challenge, "code", "en") is not None
    challenge.refresh_from_db()
    assert 59 <= challenges.next_send_in(challenge) <= 60
    assert resend(challenge.id, "code", "en").sent is False
    for minutes, left in ((1.01, 1), (2.02, 0)):
        with after(minutes):
            assert resend(challenge.id, "code", "en") == Resend(True, 60, left)
    with after(3.03):
        assert resend(challenge.id, "code", "en") == Resend(False, 0, 0)
    assert Message.objects.count() == 3


@pytest.mark.django_db
def test_nothing_is_sent_for_a_used_or_expired_challenge() -> None:
    used = opened()
    use(used)
    assert not take_send(used.id)
    old = opened()
    with after(11):
        assert not take_send(old.id)


@pytest.mark.django_db(transaction=True)
def test_T11_a_code_is_not_judged_inside_a_transaction() -> None:
    challenge = opened()
    with pytest.raises(RuntimeError), transaction.atomic():
        judge(challenge, "123456")


@pytest.mark.django_db
def test_the_row_holds_no_code_and_no_readable_phone() -> None:
    challenge = opened()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM portal_challenge")
        stored = repr(cursor.fetchall())
    assert code_of(challenge) not in stored
    assert PHONE[3:] not in stored


# ── many at once (T10, T11, T14) ────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
def test_T10_of_fifty_wrong_codes_at_once_five_are_judged_and_then_the_right_one_is_refused() -> None:
    challenge = opened()
    outcomes = in_parallel(50, lambda: judge(challenge, wrong_code(challenge)))
    assert sum(outcome.reason == "wrong" for outcome in outcomes) == 5
    assert sum(outcome.reason == "exhausted" for outcome in outcomes) == 45
    challenge.refresh_from_db()
    assert challenge.attempts == 5
    assert judge(challenge, code_of(challenge)) == Outcome(False, "exhausted", 0)


@pytest.mark.django_db(transaction=True)
def test_T10_of_fifty_right_codes_at_once_one_is_accepted() -> None:
    challenge = opened()
    code = code_of(challenge)
    outcomes = in_parallel(50, lambda: judge(challenge, code))
    assert sum(outcome.ok for outcome in outcomes) == 1


@pytest.mark.django_db(transaction=True)
def test_T14_of_twenty_resends_at_once_one_text_is_queued() -> None:
    challenge = opened()
    answers = in_parallel(20, lambda: resend(challenge.id, "code", "zh-hans"), width=20)
    assert sum(answer.sent for answer in answers) == 1
    assert Message.objects.filter(challenge=challenge).count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "ends", [ValueError, PermissionDenied, ConnectionResetError, GeneratorExit, KeyboardInterrupt, SystemExit]
)
def test_T11_attempts_survive_whatever_the_caller_does_next(ends: type[BaseException]) -> None:
    challenge = opened()

    def view() -> None:
        judge(challenge, wrong_code(challenge))
        with transaction.atomic():
            Challenge.objects.filter(id=challenge.id).update(attempts=0)
            raise ends

    for _ in range(30):
        with pytest.raises(ends):
            view()
    challenge.refresh_from_db()
    assert challenge.attempts == 5
