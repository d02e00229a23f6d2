"""What a decision tells besides yes and no: the ways that are left, why others are shut, what is doubted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recovery.gates.decide import Decision, Given, Subject, Way, authorize
from recovery.gates.floors import Block, Door, Doubt, Method, Target
from recovery.gates.policy import Policy

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SMS = Given(Method.SMS)


def decide(
    *ways: Way,
    target: Target = Target.SUPERVISOR,
    proofs: tuple[Given, ...] = (SMS,),
    blocks: tuple[Block, ...] = (),
    shut: tuple[Method, ...] = (),
) -> Decision:
    policy = Policy(shut=frozenset(shut))
    return authorize(Subject(target, Door.BROWSER, proofs, frozenset(blocks), ways, policy))


def test_a_way_is_open_while_a_yes_is_there_or_can_still_come() -> None:
    assert decide(target=Target.OPERATOR).is_open, "a yes needs no further way"
    assert decide(Way(Method.TOTP)).is_open
    assert not decide().is_open, "nothing is left to prove with"
    assert not decide(Way(Method.TOTP), blocks=(Block.FROZEN,)).is_open, "no proof gets past a block"
    assert isinstance(decide().is_open, bool)


@pytest.mark.parametrize(
    ("doubt", "target", "told"),
    [
        (Doubt.STALE, Target.SUPERVISOR, {Doubt.STALE}),
        (Doubt.STALE, Target.OPERATOR, set()),
        (Doubt.DISTRUSTED, Target.OPERATOR, {Doubt.DISTRUSTED}),
    ],
)
def test_only_what_makes_a_proof_worth_less_here_is_told(
    doubt: Doubt, target: Target, told: set[Doubt]
) -> None:
    # Half a proof, so that it is not enough with the doubt or without.
    half = Given(Method.SMS, 1, frozenset({doubt}))
    assert decide(target=target, proofs=(half,)).doubts == told


def test_what_is_shut_for_good_names_no_time_and_what_was_shut_keeps_its_reason() -> None:
    decision = decide(
        Way(Method.CONTACT, "held", NOON),
        Way(Method.VOICE, "resting", NOON),
        Way(Method.EMAIL, "held", NOON),
        shut=(Method.CONTACT,),
    )
    assert {(way.method, way.shut, way.opens_at) for way in decision.shut} == {
        (Method.CONTACT, "policy", None),
        (Method.VOICE, "given", None),
        (Method.EMAIL, "held", NOON),
    }
    doubted = Way(Method.EMAIL, "resting", NOON, frozenset({Doubt.HELD}))
    assert decide(doubted).shut == (doubted,)


def test_of_several_doubts_the_one_that_leaves_least_is_the_reason() -> None:
    way = Way(Method.EMAIL, doubts=frozenset({Doubt.DISTRUSTED, Doubt.HELD}))
    assert [way.shut for way in decide(way).shut] == [Doubt.HELD]


def test_a_way_over_a_channel_that_is_half_proved_is_open_for_the_other_half() -> None:
    half = Given(Method.EMAIL, 1)
    assert [way.method for way in decide(Way(Method.EMAIL), proofs=(half,)).open] == [Method.EMAIL]


def test_a_lax_policy_leaves_what_the_floor_asks_and_what_it_takes() -> None:
    lax, halves = Policy(ordinary=0, strict=0), (Given(Method.SMS, 1), Given(Method.EMAIL, 1))
    for proofs in (halves[:1], halves):
        asked = Subject(Target.OPERATOR, Door.BROWSER, proofs, policy=lax)
        assert authorize(asked).allowed == (len(proofs) == 2)
