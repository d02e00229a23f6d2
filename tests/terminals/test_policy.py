"""What a terminal's password must look like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminals.policy import Context, PasswordPolicy, Rule, rules_for, violations

FOUR = PasswordPolicy("digits", 4, 4, ("0000", "9999"))
SIX = PasswordPolicy("digits", 4, 6, ("0000", "123456"))
EIGHT = PasswordPolicy("digits", 8, 8, ("12345678",))
FULL = PasswordPolicy("full", 6, 12, ("Admin123",))
SHOP = Context("898440158120031", "A0012345", "RK20260001", "13800002046")


@pytest.mark.parametrize(
    ("password", "policy", "broken"),
    [
        ("482917", SIX, []),
        ("2846", SIX, []),
        ("284", SIX, [Rule.LENGTH]),
        ("4829175", SIX, [Rule.LENGTH]),
        ("", SIX, [Rule.LENGTH, Rule.CHARSET]),
        ("48291a", SIX, [Rule.CHARSET]),
        ("４８２９１７", SIX, [Rule.CHARSET]),
        ("48291\n", SIX, [Rule.CHARSET]),
        ("0000", SIX, [Rule.FACTORY_DEFAULT, Rule.REPEATED, Rule.DERIVED]),
        ("123456", SIX, [Rule.FACTORY_DEFAULT, Rule.RUN]),
        ("777777", SIX, [Rule.REPEATED]),
        ("474747", SIX, [Rule.REPEATED]),
        ("4747", SIX, [Rule.REPEATED]),
        ("47474", SIX, [Rule.REPEATED]),
        ("7890", SIX, [Rule.RUN]),
        ("0987", SIX, [Rule.RUN]),
        ("8901", SIX, [Rule.RUN]),
        ("654321", SIX, [Rule.RUN]),
        ("0229", SIX, [Rule.DATE]),
        ("2902", SIX, [Rule.DATE]),
        ("0230", SIX, []),
        ("1988", SIX, [Rule.DATE]),
        ("2040", SIX, []),
        ("880714", SIX, [Rule.DATE]),
        ("881314", SIX, []),
        ("19880714", EIGHT, [Rule.DATE]),
        ("19881314", EIGHT, []),
        ("4401", SIX, [Rule.DERIVED]),
        ("0031", SIX, [Rule.DERIVED]),
        ("2046", SIX, [Rule.DERIVED]),
        ("002046", SIX, [Rule.DERIVED]),
        ("202600", SIX, [Rule.DERIVED]),
        ("1314", SIX, [Rule.COMMON]),
        ("520131", SIX, [Rule.DATE, Rule.COMMON]),
        ("147258", SIX, [Rule.COMMON]),
        ("tr0ub4dor", FULL, []),
        ("Admin123", FULL, [Rule.FACTORY_DEFAULT, Rule.COMMON]),
        ("rk20260001", FULL, [Rule.DERIVED]),
        ("xA0012345x", FULL, [Rule.DERIVED]),
        ("tr0ub 4dor", FULL, [Rule.CHARSET]),
        ("密码密码密码", FULL, [Rule.CHARSET, Rule.REPEATED]),
    ],
)
def test_a_password_breaks_exactly_these_rules(
    password: str, policy: PasswordPolicy, broken: list[Rule]
) -> None:
    assert violations(password, policy, SHOP) == broken


def test_nine_in_ten_four_digit_passwords_remain() -> None:
    left = sum(not violations(f"{number:04d}", FOUR, SHOP) for number in range(10_000))
    assert 0.91 <= left / 10_000 <= 0.93


def test_most_six_digit_passwords_remain() -> None:
    sample = range(0, 1_000_000, 97)
    left = sum(not violations(f"{number:06d}", SIX, SHOP) for number in sample)
    assert left / len(sample) > 0.95


def test_without_facts_nothing_is_derived() -> None:
    assert violations("2046", SIX, Context()) == []


@given(st.text(max_size=80), st.sampled_from([FOUR, SIX, EIGHT, FULL]), st.text(max_size=15))
def test_any_text_is_judged(password: str, policy: PasswordPolicy, fact: str) -> None:
    broken = violations(password, policy, Context(fact, fact, fact, fact))
    assert broken == [rule for rule in Rule if rule in broken]


@given(st.from_regex(r"[0-9]{4,6}", fullmatch=True))
def test_the_tail_of_the_phone_is_always_refused(tail: str) -> None:
    assert Rule.DERIVED in violations(tail, SIX, Context(phone_digits="138000" + tail))


@given(st.integers(0, 9), st.sampled_from([1, -1]), st.integers(4, 6))
def test_every_run_is_refused_wherever_it_wraps(start: int, step: int, length: int) -> None:
    password = "".join(str((start + step * place) % 10) for place in range(length))
    assert Rule.RUN in violations(password, SIX, Context())


def test_the_page_gets_every_rule_in_order_and_never_the_phone() -> None:
    shown = rules_for(SIX)
    assert [entry.rule for entry in shown] == list(Rule)
    assert shown[0].data == {"min": 4, "max": 6}
    assert shown[2].data == {"defaults": ("0000", "123456")}
    assert {entry.rule for entry in shown if not entry.live} == {Rule.DERIVED, Rule.COMMON}
