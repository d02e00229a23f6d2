"""What a challenge does at its edges: the last second, the last try, a neighbour's row, somebody quicker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.conf import LazySettings
from django.utils import timezone
from time_machine import Traveller

from portal import challenges, guessing
from portal.challenges import Outcome, check, open_challenge, resend, send, take_send
from portal.models import Challenge, Channel, Message
from tests.portal.test_challenges import PHONE, code_of, judge, opened, use, wrong_code

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[Traveller]:
    with time_machine.travel(NOON, tick=False) as moved:
        yield moved


def attempts(challenge: Challenge) -> int:
    challenge.refresh_from_db()
    return challenge.attempts


def test_T13_ten_minutes_are_over_in_their_last_second(clock: Traveller) -> None:
    challenge = opened()
    clock.shift(599)
    assert challenges.tries_left(challenge) == 5
    clock.shift(1)
    assert challenges.tries_left(challenge) == 0
    assert judge(challenge, code_of(challenge)) == Outcome(False, "expired", 0)


@pytest.mark.parametrize(
    ("id_", "purpose", "subject"),
    [("", "sign-in", "rec_1"), ("", "recovery", "rec_2"), ("none", "recovery", "rec_1")],
)
def test_T13_what_is_asked_of_another_challenge_costs_this_one_nothing(
    id_: str, purpose: str, subject: str
) -> None:
    challenge = opened()
    assert check(id_ or challenge.id, purpose, subject, "123456") == Outcome(False, "expired", 0)
    assert attempts(challenge) == 0


def test_T13_a_used_code_costs_no_more_tries() -> None:
    challenge = opened()
    use(challenge)
    assert judge(challenge, code_of(challenge)).reason == "used"
    assert attempts(challenge) == 1


def test_T10_whoever_is_beaten_to_it_is_told_that_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    challenge = opened()

    def meanwhile(*_texts: str) -> bool:
        Challenge.objects.update(used_at=timezone.now())
        return True

    monkeypatch.setattr(challenges, "equal", meanwhile)
    assert judge(challenge, code_of(challenge)) == Outcome(False, "used", 0)


def test_T12_wrong_codes_to_nobody_are_counted_as_a_strangers(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"wrong-codes-overall": "1/day"}
    decoy = open_challenge("recovery", "rec_1", "")
    judge(decoy, wrong_code(decoy))
    assert guessing.everybody_waits() == 0
    judge(real := opened(), wrong_code(real))
    assert guessing.everybody_waits() > 0


@pytest.mark.parametrize("many", range(8))
def test_what_is_left_is_never_less_than_nothing(many: int) -> None:
    challenge = opened()
    challenge.attempts = challenge.sends = many
    assert challenges.tries_left(challenge) == [5, 4, 3, 2, 1, 0, 0, 0][many]
    assert challenges.sends_left(challenge) == [3, 2, 1, 0, 0, 0, 0, 0][many]


def test_before_the_first_text_the_minute_begins_with_the_challenge(clock: Traveller) -> None:
    challenge = opened()
    assert challenges.next_send_in(challenge) == 60
    assert challenges.next_send_in(challenge, NOON + timedelta(seconds=15)) == 45
    assert challenges.next_call_in(challenge) == 20


def test_T14_a_call_may_come_sooner_than_a_second_text(clock: Traveller) -> None:
    challenge = opened()
    assert take_send(challenge.id)
    clock.shift(30)
    assert not take_send(challenge.id)
    assert not take_send(challenge.id, Channel.SMS)
    assert take_send(challenge.id, Channel.VOICE)
    clock.shift(30)
    assert not take_send(challenge.id, Channel.VOICE)


def test_T14_a_slot_is_taken_of_one_challenge_alone() -> None:
    mine, neighbours = opened(), opened()
    assert resend(mine.id, "code", "en").sent
    neighbours.refresh_from_db()
    assert (neighbours.sends, neighbours.last_sent_at) == (0, None)


@pytest.mark.parametrize("known", [False, True])
def test_the_message_says_where_it_goes_for_what_and_from_what_browser(known: bool) -> None:
    challenge = opened()
    send(challenge, "code", "en", known_source=known)
    message = Message.objects.get()
    assert (message.challenge, message.phone, message.channel) == (challenge, PHONE, "sms")
    assert (message.known_source, message.locale) == (known, "en")


def test_a_strangers_slot_and_a_decoys_are_taken_and_nothing_is_sent() -> None:
    for challenge, real in ((opened(), False), (open_challenge("recovery", "rec_1", ""), True)):
        assert resend(challenge.id, "code", "en", real=real).sent
    assert not Message.objects.exists()
