"""Two more ways in: the code on the till's screen, and the till without a network; each with a real till."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.walker import Walker, World

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
PHONE, DESK, BARE = (390, 844, True), (1280, 800, True), (390, 844, False)
WAYS = [("zh", PHONE), ("en", DESK), ("zh", BARE)]
CODE = r"\b([B-Z]{4})-([B-Z]{4})\b[^0-9]+([0-9]{2})\b"
QUESTION = r"\b([0-9]{5}) ([0-9]{5})\b"


@pytest.fixture(params=WAYS, ids=lambda way: "-".join(map(str, (way[0], *way[1]))))
def walker(walk: Any, request: pytest.FixtureRequest) -> Any:
    language, (width, height, scripts) = request.param
    return walk(language, width, height, scripts=scripts)


def forget(world: World, number: str) -> tuple[str, str]:
    """Press "forgot" at the till; the code and the match number on its screen."""
    world.at_till("forgot", number)
    found = world.screen_shows(CODE)
    return found[1] + found[2], found[3]


def prove_at(walker: Walker, code: str) -> None:
    """Open the address of the QR, say which phone, and type the code from the text."""
    before = len(walker.world.texts())
    walker.go(f"/t/{code}")
    walker.look("at-terminal-phone")
    walker.send("phone", phone=walker.world.facts["merchant"]["phone"])
    walker.at("/code")
    walker.send("code", code=walker.code_after(before))
    walker.at("/match")


def test_a_reset_that_starts_at_the_till_ends_there(walker: Walker, world: World) -> None:
    code, match = forget(world, "03")
    walker.go("/t")
    walker.look("at-terminal-code")
    walker.send("code", code=code.lower())
    walker.at(f"/t/{code}")
    prove_at(walker, code)
    walker.look("match")
    wrong = "11" if match != "11" else "12"
    walker.send("number", number=wrong)
    walker.look("match-wrong")
    walker.send("number", number=match)
    walker.at("/password")
    password = world.new_password()
    walker.send("new_password", new_password=password, again=password)
    walker.at("/status")
    walker.wait_for("applied")
    assert world.sign_on("03", password)


def test_the_supervisor_is_reset_by_phone_and_screen_together(walker: Walker, world: World) -> None:
    walker.prove()
    walker.send("operator", operator="00")
    walker.at("/prove/00")
    walker.look("refused")
    code, match = forget(world, "00")
    prove_at(walker, code)
    walker.send("number", number=match)
    walker.at("/password")
    password = world.new_password(least=6)
    walker.send("new_password", new_password=password, again=password)
    walker.wait_for("applied")
    assert world.sign_on("00", password)


def test_somebody_who_is_not_at_the_till_says_no_and_the_till_is_told(walker: Walker, world: World) -> None:
    code, _ = forget(world, "01")
    prove_at(walker, code)
    walker.press("/match/no")
    walker.at("/stopped")
    walker.look("stopped")
    world.screen_shows("找回密码未通过")


def test_a_till_without_a_network_is_unlocked_with_two_numbers(walker: Walker, world: World) -> None:
    world.at_till("network", "off")
    try:
        walker.prove()
        walker.send("operator", operator="05")
        walker.at("/password")
        walker.page.locator('a[href="/offline"]').last.click()
        walker.at("/offline")
        walker.look("offline")
        question = "".join(world.read_at_till(QUESTION, "unlock", "05").groups())
        slip = question[:-1] + str((int(question[-1]) + 1) % 10)
        walker.send("question", question=slip)
        walker.look("offline-slip")
        walker.send("question", question=question)
        answer = walker.page.locator("[data-answer]").inner_text().replace(" ", "")
        walker.look("offline-answer")
        password = world.new_password()
        world.at_till("unlock", "05", answer, password)
        assert world.sign_on("05", password)
        walker.go("/offline")
        walker.look("offline-answered")
        assert answer[:4] not in walker.page.content()
    finally:
        world.at_till("network", "on")
    walker.wait_until_reported()
    walker.look("offline-reported")
