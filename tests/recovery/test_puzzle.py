"""The gate before another text to a browser that has asked often (T04)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.core.signing import Signer
from time_machine import Traveller

from portal import puzzles
from portal.secrets import keyed_digest
from recovery.models import Recovery
from tests.portal.parallel import in_parallel
from tests.recovery.visitor import PHONE, SHOP, Visitor, make_shop, texts_to

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TEXT = re.compile(r'data-puzzle="([^"]+)"')


@pytest.fixture(autouse=True)
def easy(settings: LazySettings) -> None:
    settings.REKEY_PUZZLE_BITS = 8
    settings.REKEY_LIMITS = {"identify": "1000/hour"}


@pytest.fixture
def clock() -> Iterator[Traveller]:
    with time_machine.travel(NOON, tick=False) as moved:
        yield moved


def ask(visitor: Visitor | None = None, phone: str = PHONE, **fields: str) -> Any:
    fields = {"shop": SHOP, "phone": phone, "form": "", **fields}
    return (visitor or Visitor()).client.post("/", fields, headers={"Accept-Language": "en"})


def used_up() -> str:
    """Three starts are gone; the puzzle that the fourth is given."""
    for _ in range(3):
        assert ask().status_code == 302
    return puzzle_in(ask())


def puzzle_in(answer: Any) -> str:
    found = TEXT.search(answer.content.decode())
    assert answer.status_code == 200 and found
    return found[1]


def solve(text: str, bits: int = 8) -> str:
    number = 0
    while puzzles.zero_bits(f"{text}:{number}") < bits:
        number += 1
    return str(number)


def unsolved(text: str) -> str:
    number = 0
    while puzzles.zero_bits(f"{text}:{number}") >= 8:
        number += 1
    return str(number)


def test_T04_after_three_tries_a_puzzle_comes_before_the_text() -> None:
    make_shop()
    used_up()
    assert Recovery.objects.count() == 3
    assert texts_to() == 0


def test_T04_solved_it_goes_on_with_what_was_asked_first() -> None:
    make_shop()
    text = used_up()
    visitor = Visitor()
    assert ask(visitor, puzzle=text, answer=solve(text)).url == "/code"
    visitor.worker()
    assert (visitor.recovery.identifier, texts_to()) == (SHOP, 1)


def test_T04_an_answer_counts_once(clock: Traveller) -> None:
    text = used_up()
    answer = solve(text)
    assert ask(puzzle=text, answer=answer).status_code == 302
    assert puzzle_in(ask(puzzle=text, answer=answer))
    assert Recovery.objects.count() == 4


@pytest.mark.django_db(transaction=True)
def test_T04_of_ten_at_once_with_one_answer_one_goes_on() -> None:
    text = used_up()
    answer = solve(text)
    codes = in_parallel(10, lambda: ask(puzzle=text, answer=answer).status_code, width=10)
    assert sorted(codes) == [200] * 9 + [302]


def test_T04_what_does_not_solve_this_puzzle_of_ours_for_this_request_is_asked_again(
    clock: Traveller, settings: LazySettings
) -> None:
    text = used_up()
    answer = solve(text)
    easier = text.replace("8.", "1.", 1)
    wrong: tuple[dict[str, str], ...] = (
        {"puzzle": text, "answer": unsolved(text)},
        {"puzzle": text, "answer": answer, "phone": "13800002054"},
        {"puzzle": easier, "answer": solve(easier, 1)},
        {"puzzle": text[:-1] + "_", "answer": answer},
        {"puzzle": "x" * 5000, "answer": "9" * 5000},
        {"puzzle": text, "answer": "１２３"},
        {"answer": answer},
    )
    for fields in wrong:
        assert puzzle_in(ask(None, **fields)), fields
    clock.shift(601)
    assert puzzle_in(ask(puzzle=text, answer=answer)) != text
    assert Recovery.objects.count() == 3


def test_T04_without_scripts_it_takes_a_minute_and_the_page_says_how_long(clock: Traveller) -> None:
    text = used_up()
    clock.shift(20)
    early = ask(puzzle=text, answer="")
    assert puzzle_in(early) == text, "the wait does not begin anew"
    assert "in 40 seconds" in early.content.decode()
    clock.shift(40)
    assert ask(puzzle=text, answer="").status_code == 302


def test_T04_waiting_is_for_a_few_an_hour(clock: Traveller) -> None:
    texts = [used_up(), *(puzzle_in(ask()) for _ in range(7))]
    clock.shift(61)
    codes = [ask(puzzle=text, answer="").status_code for text in texts]
    assert codes == [302] * 6 + [200] * 2


def test_T04_the_page_is_the_same_for_strangers() -> None:
    make_shop()
    used_up()
    pages = [ask(phone=phone).content.decode() for phone in (PHONE, "13800007777")]
    plain = [
        re.sub(r'[0-9A-Za-z_-]*\.[0-9]{10}\.[^"]+|(?<=value=")(?:[A-Za-z0-9]{64}|1380000[0-9]{4})', "", each)
        for each in pages
    ]
    assert plain[0] == plain[1]


def test_T04_a_browser_that_is_known_has_three_of_its_own() -> None:
    make_shop()
    visitor = Visitor()
    visitor.prove()
    assert TEXT.search(used_up_by_neighbours())
    for _ in range(3):
        visitor.client.cookies.pop("rekey_recovery", None)
        assert ask(visitor).status_code == 302
    visitor.client.cookies.pop("rekey_recovery", None)
    assert puzzle_in(ask(visitor))


def used_up_by_neighbours() -> str:
    answer = ask()
    while answer.status_code == 302:
        answer = ask()
    return str(answer.content.decode())


def test_a_site_can_do_without(settings: LazySettings) -> None:
    settings.REKEY_PUZZLE_BITS = 0
    assert [ask().status_code for _ in range(5)] == [302] * 5


# ── the puzzle itself ───────────────────────────────────────────────────────────────────────────────────────


def test_T04_a_puzzle_is_good_for_ten_minutes_to_the_second(clock: Traveller) -> None:
    text = puzzles.set_puzzle("a").text
    clock.shift(600)
    assert puzzles.read(text, "a") is not None
    clock.shift(1)
    assert puzzles.read(text, "a") is None


def test_T04_what_was_signed_for_another_purpose_is_no_puzzle(clock: Traveller) -> None:
    plain = puzzles.set_puzzle("a").text.rpartition(":")[0]
    assert puzzles.read(Signer().sign(plain), "a") is None
    assert plain.rpartition(".")[2] == keyed_digest("puzzle", "a")[:16]


def test_T04_the_easiest_puzzle_is_one_bit_and_none_is_none(settings: LazySettings) -> None:
    settings.REKEY_PUZZLE_BITS = 1
    assert [puzzles.is_due("somebody") for _ in range(4)] == [False, False, False, True]
    settings.REKEY_PUZZLE_BITS = 0
    assert not puzzles.is_due("somebody")


@pytest.mark.parametrize("text", [str(number) for number in range(20)])
def test_T04_zero_bits_are_those_a_digest_begins_with(text: str) -> None:
    bits = f"{int(hashlib.sha256(text.encode()).hexdigest(), 16):0256b}"
    assert puzzles.zero_bits(text) == bits.index("1")
