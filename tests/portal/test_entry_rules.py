"""Every door for those who cannot sign in × every set of proofs × every doubt × every block."""

from __future__ import annotations

from itertools import chain, combinations

import pytest

from portal.entry.rules import Block, Decision, Doubt, Proof, Standing, Target, decide

ALL = list(Proof)
SETS = [frozenset(chosen) for n in range(len(ALL) + 1) for chosen in combinations(ALL, n)]
DOUBTS = [frozenset(chosen) for n in range(5) for chosen in combinations(Doubt, n)]


def enough(target: Target, proved: frozenset[Proof], doubts: frozenset[Doubt]) -> bool:
    """The table of docs/gates.md, once more and by hand."""
    has = {proof.value for proof in proved}
    if target == "join":
        return "invitation" in has and "text" in has and "held" not in doubts
    if doubts:
        has.discard("text")
    if target == "password":
        return bool(has & {"app", "passkey"}) and bool(has & {"text", "email", "paper", "contact"})
    return {"password", "text"} <= has and bool(has & {"email", "paper", "contact"})


@pytest.mark.parametrize("target", Target)
def test_every_set_of_proofs_and_doubts_is_judged_as_written(target: Target) -> None:
    wrong = [
        (proved, doubts)
        for proved in SETS
        for doubts in DOUBTS
        if decide(Standing(target, proved, doubts=doubts)).allowed != enough(target, proved, doubts)
    ]
    assert len(SETS) * len(DOUBTS) == 256 * 16
    assert wrong == []


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("blocks", [{Block.MERCHANT}, {Block.FROZEN}, {Block.MERCHANT, Block.FROZEN}])
def test_no_proof_gets_past_a_block(target: Target, blocks: set[Block]) -> None:
    decision = decide(Standing(target, frozenset(Proof), ways=frozenset(Proof), blocks=frozenset(blocks)))
    assert decision == Decision(False, Block.MERCHANT if Block.MERCHANT in blocks else Block.FROZEN)


@pytest.mark.parametrize("target", Target)
def test_what_is_open_is_what_helps_and_the_shop_has(target: Target) -> None:
    for given in SETS:
        for ways in ({Proof.TEXT}, {Proof.TEXT, Proof.PAPER}, {Proof.EMAIL}, set(Proof)):
            found = decide(Standing(target, given, ways=frozenset(ways)))
            for proof in found.open:
                assert proof in ways
                assert proof not in given
            assert not (found.allowed and found.open)
            best = decide(Standing(target, given | found.open, ways=frozenset(ways)))
            assert best.allowed or not found.possible


def test_a_doubted_phone_is_not_offered_and_alone_makes_the_lost_device_a_matter_for_support() -> None:
    given = frozenset({Proof.PASSWORD, Proof.PAPER})
    found = decide(Standing(Target.FACTOR, given, frozenset(Proof), frozenset({Doubt.STALE})))
    assert (found.doubt, found.open, found.possible) == (Doubt.STALE, frozenset(), False)


def combinations_of_two() -> list[frozenset[Proof]]:
    return [frozenset(pair) for pair in chain(combinations(Proof, 2))]


@pytest.mark.parametrize("proved", combinations_of_two(), ids=lambda pair: "+".join(sorted(pair)))
def test_no_two_proofs_remove_a_second_factor(proved: frozenset[Proof]) -> None:
    assert not decide(Standing(Target.FACTOR, proved)).allowed
