"""From "I forgot" to a sign-on at the till: phone and desktop, both languages, with and without scripts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.walker import Walker, World

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
PHONE, DESK, BARE = (390, 844, True), (1280, 800, True), (390, 844, False)


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


WAYS = [("zh", PHONE), ("en", PHONE), ("zh", DESK), ("en", DESK), ("zh", BARE), ("en", BARE)]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, (way[0], *way[1]))))
def test_a_forgotten_password_is_reset_and_works_at_the_till(
    walk: Any, world: World, in_force: dict[str, str], way: tuple[str, tuple[int, int, bool]]
) -> None:
    language, (width, height, scripts) = way
    walker, old, new = walk(language, width, height, scripts=scripts), in_force["03"], world.new_password()
    reset(walker, new)
    assert not world.sign_on("03", old)
    assert world.sign_on("03", new)
    in_force["03"] = new
    walker.wait_for("signed_on")
    walker.look("status-signed-on")
    assert any("A0012345" in text and new not in text for text in world.texts()[-2:])
