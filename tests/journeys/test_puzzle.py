"""The puzzle before a fourth text, in a browser that counts and in one that waits (T04)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests import stack
from tests.journeys.conftest import STATIC, serve_static_files

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
FREE = 3


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[dict[str, Any]]:
    """An installation that asks for a small sum, and an address that has had what is free."""
    var = tmp_path_factory.mktemp("puzzle")
    with stack.running(var, REKEY_PUZZLE_BITS="10", REKEY_STATICFILES=STATIC) as running:
        running.manage("loaddemo")
        serve_static_files(running)
        facts = json.loads((var / "demo.json").read_text("utf-8"))["merchant"] | {"origin": running.origin}
        for _ in range(FREE):
            assert ask(browser, facts, scripts=False).url.endswith("/code")
        yield facts


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
