"""The puzzle before a fourth text (T04), and the pages for which something has gone wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests import stack
from tests.journeys.conftest import STATIC, serve_static_files
from tests.journeys.walker import Walker, World

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
FREE = 3


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[World]:
    """An installation that asks for a small sum, and an address that has had what is free."""
    var = tmp_path_factory.mktemp("puzzle")
    told = {"REKEY_PUZZLE_BITS": "10", "REKEY_STATICFILES": STATIC, "REKEY_LIMITS": "support=1/hour"}
    with stack.running(var, **told) as running:
        running.manage("loaddemo")
        serve_static_files(running)
        made = World(running, json.loads((var / "demo.json").read_text("utf-8")))
        for _ in range(FREE):
            assert ask(browser, shop_of(made), scripts=False).url.endswith("/code")
        yield made


def shop_of(world: World) -> dict[str, Any]:
    """Its shop, and where it is."""
    return {**world.facts["merchant"], "origin": world.stack.origin}


@pytest.fixture
def shop(world: World) -> dict[str, Any]:
    """The shop of the installation."""
    return shop_of(world)


def ask(browser: Browser, shop: dict[str, Any], *, scripts: bool) -> Page:
    """Fill in the first page in a new browser and send it."""
    page = browser.new_context(java_script_enabled=scripts, locale="en", base_url=shop["origin"]).new_page()
    page.goto("/")
    page.locator("[name=shop]").fill(shop["number"])
    page.locator("[name=phone]").fill(shop["phone"])
    page.locator("main form button[type=submit]").first.click()
    return page


def test_T04_a_browser_solves_it_by_itself_and_goes_on(browser: Browser, shop: dict[str, Any]) -> None:
    ask(browser, shop, scripts=True).wait_for_url("**/code")


def test_T04_without_scripts_the_page_tells_how_long_to_wait_and_who_else_helps(
    browser: Browser, shop: dict[str, Any]
) -> None:
    page = ask(browser, shop, scripts=False)
    assert page.locator("[data-puzzle-wait]").is_visible() and page.locator("[data-puzzle-say]").is_hidden()
    assert page.locator('main a[href="/support"]').count() == 1


@pytest.mark.parametrize(("language", "size"), [("zh", (390, 844)), ("en", (1280, 800))])
def test_pages_of_a_bad_day_say_what_is_the_matter(
    browser: Browser, world: World, language: str, size: tuple[int, int]
) -> None:
    walker = Walker(world, browser, language, size)
    walker.page.route("**/js/puzzle.*", lambda route: route.abort())
    walker.go("/")
    walker.send("shop", shop=world.facts["merchant"]["number"], phone=world.facts["merchant"]["phone"])
    walker.page.wait_for_selector("[data-puzzle-wait]")
    walker.look("puzzle")
    for _ in range(2):
        walker.go("/support")
        walker.send("text", text="")
    walker.page.wait_for_selector('main a.key[href^="tel:"]')
    walker.look("429")
    world.stack.office("rename", table="portal_circuit", to="away")
    try:
        walker.go("/", 500)
        walker.look("500")
    finally:
        world.stack.office("rename", table="away", to="portal_circuit")
    walker.context.close()
    assert not walker.troubles
