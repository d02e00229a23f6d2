"""What a caller has to show to the desk: the table by hand, and what no order and no repetition opens."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.desk.documents import is_identity, is_licence, tidy
from recovery.gates.decide import Given, Subject, Verdict, authorize
from recovery.gates.evidence import Said, Stated, judged
from recovery.gates.floors import FULL, HALF, Door, Doubt, Method, Target

PROOFS = "sms voice email contact possession".split()
SAID = "call_back document in_person attested".split()


def sets(text: str) -> list[frozenset[str]]:
    return [frozenset(line.split("+")) for line in text.split()]


# The smallest sets that open something, by docs/gates.md.
ONE = sets("sms voice email")
TWO = sets("""
    sms+email   sms+contact   sms+possession   sms+in_person
    voice+email voice+contact voice+possession voice+in_person
    email+contact email+possession email+in_person email+call_back+document
    sms+attested+document voice+attested+document email+attested+document email+attested+call_back
""")
OTHERS = ("supervisor", "maintenance", "contact_change")


def every_set() -> Iterable[frozenset[str]]:
    names = PROOFS + SAID
    for many in range(len(names) + 1):
        yield from map(frozenset, itertools.combinations(names, many))


def decided(names: Iterable[str], target: str, *, approved: bool = False) -> str:
    shown = [Given(Method(name)) for name in names if name in PROOFS]
    said = [Said(Stated(name)) for name in names if name in SAID]
    proofs = judged(shown, said, Target(target))
    decision = authorize(Subject(Target(target), Door.SUPPORT, proofs, approved=approved))
    return f"{decision.verdict} {decision.reason}".strip()


@pytest.mark.parametrize("approved", [False, True])
@pytest.mark.parametrize("target", ["operator", *OTHERS])
def test_T43_every_set_of_evidence_for_every_target(target: str, approved: bool) -> None:
    enough = ONE if target == "operator" else TWO
    reached = "allowed" if approved or target == "operator" else "approval approval"
    for names in every_set():
        expected = reached if any(one <= names for one in enough) else "proof support"
        assert decided(names, target, approved=approved) == expected, names


PIECES = st.sampled_from(PROOFS + SAID)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=12), st.sampled_from(Target), st.booleans())
def test_T43_no_order_and_no_repetition_of_evidence_opens_more(
    gathered: list[str], target: Target, approved: bool
) -> None:
    once = decided(sorted(set(gathered)), target, approved=approved)
    assert decided(gathered, target, approved=approved) == once
    assert decided(gathered[::-1], target, approved=approved) == once
    if not set(gathered) & {"sms", "voice", "email"}:
        assert once == "proof support"
    if target is not Target.OPERATOR and not approved:
        assert once != Verdict.ALLOWED


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(PROOFS), st.sampled_from([HALF, FULL]), st.sets(st.sampled_from(Doubt)))
    ),
    st.lists(st.tuples(st.sampled_from(SAID), st.sets(st.sampled_from(Doubt)))),
    st.sampled_from(Target),
)
def test_T43_doubts_never_open_anything(
    shown: list[tuple[str, int, set[Doubt]]], said: list[tuple[str, set[Doubt]]], target: Target
) -> None:
    doubted = judged(
        [Given(Method(name), worth, frozenset(doubts)) for name, worth, doubts in shown],
        [Said(Stated(name), frozenset(doubts)) for name, doubts in said],
        target,
    )
    plain = [name for name, *_rest in shown] + [name for name, _doubts in said]
    if authorize(Subject(target, Door.SUPPORT, doubted, approved=True)).allowed:
        assert decided(plain, target, approved=True) == Verdict.ALLOWED


def test_a_support_proof_from_elsewhere_is_not_taken_along() -> None:
    forged = [Given(Method.SUPPORT, FULL), Given(Method.POSSESSION)]
    assert Method.SUPPORT not in {each.method for each in judged(forged, [], Target.OPERATOR)}


def test_a_call_back_adds_nothing_to_a_code_by_the_same_phone() -> None:
    assert decided(["sms", "call_back", "document"], "supervisor") == "proof support"
    assert decided(["email", "call_back", "document"], "supervisor") == "approval approval"


def test_check_digits_of_licence_and_identity_card() -> None:
    assert is_licence("91350100M000100Y43")
    assert is_identity("11010519491231002X")
    licence, identity = "91350100M000100Y43", "11010519491231002X"
    for place in range(18):
        for sign in "0123456789ABCDEFGHJKLMNPQRTUWXY":
            wrong = licence[:place] + sign + licence[place + 1 :]
            assert is_licence(wrong) == (wrong == licence)
        for sign in "0123456789X":
            wrong = identity[:place] + sign + identity[place + 1 :]
            assert is_identity(wrong) == (wrong == identity)


@pytest.mark.parametrize(
    "typed", ["", "9" * 18, "１" * 18, "91350100M000100Y4I", "x" * 400, "11010519491231002x "]
)
def test_oddities_are_no_documents_or_are_read_as_meant(typed: str) -> None:
    number = tidy(typed)
    assert (is_licence(number) or is_identity(number)) == (number == "11010519491231002X")
