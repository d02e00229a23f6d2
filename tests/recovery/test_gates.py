"""The table of the gates: every target, every combination of proofs, every reason against it, every door.

The lists below are written by hand from docs/gates.md, as the smallest sets of proofs that open something;
the code is asked about every set there is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from recovery.gates import floors
from recovery.gates.decide import Decision, Given, Subject, Way, authorize
from recovery.gates.floors import FULL, HALF, Block, Door, Doubt, Method, Target
from recovery.gates.policy import Policy, both

METHODS = "sms voice email totp passkey recovery_code contact possession support".split()
TARGETS = "operator supervisor maintenance contact_change".split()
DOORS = "browser owner terminal offline support api".split()
BLOCKS = "merchant frozen terminal operator".split()
DOUBTS = "distrusted everybody stale held".split()


def sets(text: str) -> list[frozenset[str]]:
    return [frozenset(line.split("+")) for line in text.split()]


ONE = sets("sms voice email totp passkey")
TWO_WITHOUT_PHONE = sets("""
    email+totp email+passkey totp+passkey
    email+recovery_code   email+contact   email+possession   email+support
    totp+recovery_code    totp+contact    totp+possession    totp+support
    passkey+recovery_code passkey+contact passkey+possession passkey+support
""")
TWO = TWO_WITHOUT_PHONE + sets("""
    sms+email   sms+totp   sms+passkey   sms+recovery_code   sms+contact   sms+possession   sms+support
    voice+email voice+totp voice+passkey voice+recovery_code voice+contact voice+possession voice+support
""")
# A text counts for half while codes are guessed: something else has to stand beside it.
ONE_WHILE_GUESSED = sets("""
    email totp passkey
    sms+recovery_code sms+contact sms+possession sms+support
    voice+recovery_code voice+contact voice+possession voice+support
""")
# What opens what, by target and by what is doubted about the phone (and, where held, about every address).
TWO_WITHOUT_ADDRESSES = sets("""
    totp+passkey
    totp+recovery_code totp+possession totp+support passkey+recovery_code passkey+possession passkey+support
""")
TABLE = {
    "": (ONE, TWO),
    "distrusted": (ONE_WHILE_GUESSED, TWO_WITHOUT_PHONE),
    "everybody": (ONE_WHILE_GUESSED, TWO_WITHOUT_PHONE),
    "stale": (ONE, TWO_WITHOUT_PHONE),
    "held": (ONE, TWO_WITHOUT_ADDRESSES),
}
TOUCHED = {
    "": set(),
    "distrusted": {"sms", "voice"},
    "everybody": {"sms", "voice"},
    "stale": {"sms", "voice"},
    "held": {"sms", "voice", "email", "contact"},
}


def every_set() -> Iterable[frozenset[str]]:
    for many in range(len(METHODS) + 1):
        yield from map(frozenset, itertools.combinations(METHODS, many))


def given(proofs: Iterable[str], doubt: str = "", strength: int = FULL) -> tuple[Given, ...]:
    return tuple(
        Given(Method(proof), strength, frozenset({Doubt(doubt)}) if proof in TOUCHED[doubt] else frozenset())
        for proof in sorted(proofs)
    )


def ask(
    target: str, proofs: tuple[Given, ...], door: str = "browser", *blocks: str, approved: bool = False
) -> Decision:
    against = frozenset(map(Block, blocks))
    return authorize(Subject(Target(target), Door(door), proofs, against, approved=approved))


def as_written(
    target: str,
    proofs: frozenset[str],
    door: str,
    blocks: tuple[str, ...],
    doubt: str,
    *,
    approved: bool = False,
) -> str:
    """The verdict and its reason, from the lists above and nothing else."""
    if door == "api":
        return "refused door"
    for block in BLOCKS:
        if block in blocks:
            return f"refused {block}"
    if door == "terminal" and "possession" not in proofs:
        return "proof possession"
    if door == "support" and "support" not in proofs:
        return "proof support"
    if target == "maintenance" and door != "support":
        return "approval approval"
    enough = TABLE[doubt][0 if target == "operator" else 1]
    if not any(one <= proofs for one in enough):
        return "proof proof"
    return "approval approval" if door == "support" and target != "operator" and not approved else "allowed "


def test_the_words_of_the_table_are_all_there_are() -> None:
    assert [list(names) for names in (Method, Target, Door, Block, Doubt)] == [
        METHODS, TARGETS, DOORS, BLOCKS, DOUBTS,
    ]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_T34_every_set_of_proofs_at_every_door_against_every_reason(target: str) -> None:
    rows = 0
    against = [(), *((block,) for block in BLOCKS), *itertools.combinations(BLOCKS, 2)]
    for proofs, door, blocks in itertools.product(every_set(), DOORS, against):
        decision = ask(target, given(proofs), door, *blocks)
        expected = as_written(target, proofs, door, blocks, "")
        assert f"{decision.verdict} {decision.reason}" == expected, (proofs, door, blocks)
        rows += 1
    assert rows == 512 * 6 * 11


@pytest.mark.parametrize("target", TARGETS)
def test_a_second_persons_yes_counts_at_the_desk_and_takes_the_place_of_no_proof(target: str) -> None:
    for proofs, door in itertools.product(every_set(), DOORS):
        decision = ask(target, given(proofs), door, approved=True)
        expected = as_written(target, proofs, door, (), "", approved=True)
        assert f"{decision.verdict} {decision.reason}" == expected, (proofs, door)


@pytest.mark.parametrize("doubt", DOUBTS)
@pytest.mark.parametrize("target", TARGETS)
def test_T34_every_set_of_proofs_at_every_door_while_it_is_doubted(target: str, doubt: str) -> None:
    for proofs, door in itertools.product(every_set(), DOORS):
        decision = ask(target, given(proofs, doubt), door)
        expected = as_written(target, proofs, door, (), doubt)
        assert f"{decision.verdict} {decision.reason}" == expected, (proofs, door)


def test_halves_make_one_for_an_operator_and_nothing_for_anybody_else() -> None:
    for strengths in itertools.product((None, HALF, FULL), repeat=len(METHODS)):
        held = {name: worth for name, worth in zip(METHODS, strengths, strict=True) if worth}
        proofs = tuple(Given(Method(name), worth) for name, worth in held.items())
        full = frozenset(name for name, worth in held.items() if worth == FULL)
        supervisor = any(one <= full for one in TWO)
        phone = {"sms", "voice"}
        channels = {("phone" if name in phone else name) for name in held}
        stands = bool(held.keys() & {"sms", "voice", "email", "totp", "passkey"})
        whole = bool(full)
        assert ask("supervisor", proofs).allowed == supervisor, held
        assert ask("operator", proofs).allowed == (stands and (whole or len(channels) > 1)), held


def test_no_policy_lowers_a_floor() -> None:
    lax = Policy(ordinary=0, strict=0)
    for target, proofs in itertools.product(Target, every_set()):
        plain = Subject(target, Door.BROWSER, given(proofs))
        lowered = Subject(target, Door.BROWSER, given(proofs), policy=lax)
        assert authorize(plain).verdict == authorize(lowered).verdict


def test_a_policy_asks_for_more_and_takes_fewer_methods() -> None:
    strict = Policy(ordinary=2, strict=3, shut=frozenset({Method.CONTACT}))
    for proofs in every_set():
        now = frozenset(proofs) - {"contact"}
        subject = Subject(Target.OPERATOR, Door.BROWSER, given(proofs), policy=strict)
        assert authorize(subject).allowed == any(two <= now for two in TWO), proofs
        supervisor = Subject(Target.SUPERVISOR, Door.BROWSER, given(proofs), policy=strict)
        channels = {"phone" if one in {"sms", "voice"} else one for one in now}
        assert authorize(supervisor).allowed == (
            len(channels) >= 3 and bool(now & {"sms", "voice", "email", "totp", "passkey"})
        ), proofs


def test_of_two_policies_the_stricter_counts() -> None:
    one, other = Policy(2, 2, frozenset({Method.SMS})), Policy(1, 3, frozenset({Method.CONTACT}))
    assert both([one, other]) == Policy(2, 3, frozenset({Method.SMS, Method.CONTACT}))
    assert both([]) == Policy()


def test_the_ways_that_are_left_are_those_that_would_add_something() -> None:
    ways = tuple(
        Way(method, doubts=frozenset({Doubt.HELD} if method == "email" else ())) for method in Method
    )
    shut_by_policy = Policy(shut=frozenset({Method.CONTACT}))
    subject = Subject(Target.SUPERVISOR, Door.BROWSER, given(["sms"]), ways=ways, policy=shut_by_policy)
    decision = authorize(subject)
    assert {way.method for way in decision.open} == {
        "totp",
        "passkey",
        "recovery_code",
        "possession",
        "support",
    }
    assert {(way.method.value, way.shut) for way in decision.shut} == {
        ("sms", "given"), ("voice", "given"), ("email", "held"), ("contact", "policy"),
    }  # fmt: skip


def test_what_is_no_proof_has_no_name() -> None:
    names = {method.value for method in Method}
    assert not names & {"merchant_number", "terminal_number", "licence", "id_card", "question"}
    assert set(floors.CHANNEL) == set(Method)
