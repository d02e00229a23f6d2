"""From "I forgot" to a sign-on at the till: phone and desktop, both languages, with and without scripts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.walker import Walker, World

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
PHONE, DESK = (390, 844), (1280, 800)


@pytest.fixture(scope="session")
def in_force(world: World) -> dict[str, str]:
    """The password of 03 that the till knows now."""
    known = {one["number"]: one["password"] for one in world.facts["operators"]}
    return {"03": known["03"]}


def reset(walker: Walker, password: str) -> None:
    """The whole journey, each page looked at."""
    walker.go("/")
    walker.look("identify")
    before = walker.identify()
    walker.look("code")
    walker.send("code", code=walker.code_after(before))
    walker.at("/operator")
    walker.look("choose-operator")
    walker.send("operator", operator="03")
    walker.at("/password")
    walker.look("new-password")
    walker.send("new_password", new_password=password, again=password)
    walker.at("/status")
    walker.wait_for("applied")
    walker.look("status-applied")


@pytest.mark.parametrize(
    ("language", "size", "scripts"),
    [
        ("zh", PHONE, True),
        ("en", PHONE, True),
        ("zh", DESK, True),
        ("en", DESK, True),
        ("zh", PHONE, False),
        ("en", DESK, False),
    ],
)
def test_a_forgotten_password_is_reset_and_works_at_the_till(
    walk: Any, world: World, in_force: dict[str, str], language: str, size: tuple[int, int], scripts: bool
) -> None:
    walker, old, new = walk(language, *size, scripts=scripts), in_force["03"], world.new_password()
    reset(walker, new)
    assert not world.sign_on("03", old)
    assert world.sign_on("03", new)
    in_force["03"] = new
    walker.wait_for("signed_on")
    walker.look("status-signed-on")
    assert any("A0012345" in text and new not in text for text in world.texts()[-2:])
