"""Somebody waits for a code: the page says how far it is, offers a call, and keeps what was typed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.test_pages import sign_in
from tests.journeys.walker import Walker, World

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
SIZES = {"zh": (390, 844), "en": (1280, 800)}


@pytest.fixture(params=["zh", "en"])
def walker(walk: Any, request: pytest.FixtureRequest) -> Any:
    return walk(request.param, *SIZES[request.param])


def provider_says(world: World, *words: str) -> None:
    world.stack.run("-m", "tests.journeys.backstage", "report", *words)


def test_a_text_that_does_not_come_leads_to_a_call(walker: Walker, world: World) -> None:
    before = walker.identify()
    walker.code_after(before)
    walker.wait_for("sent")
    walker.look("code-sent")
    walker.page.locator('[name="code"]').type("12")
    walker.wait_for("sent call")
    assert walker.page.locator('[name="code"]').input_value() == "12"
    assert walker.page.locator("[data-live-say]").text_content()
    walker.look("code-call-offered")
    walker.press("/code/call")
    walker.page.locator("h1").wait_for()
    called = len(world.texts())
    walker.look("code-called")
    while len(world.texts()) == called and "(call)" not in world.texts()[-1]:
        walker.page.wait_for_timeout(100)
    provider_says(world, "undelivered", "no-answer")
    walker.wait_for("undelivered")
    walker.look("code-not-answered")


def test_a_receipt_shows_on_the_page_that_is_open(walker: Walker, world: World) -> None:
    before = walker.identify()
    code = walker.code_after(before)
    walker.wait_for("sent")
    provider_says(world, "delivered")
    walker.wait_for("delivered")
    walker.look("code-delivered")
    walker.send("code", code=code)
    walker.at("/operator")


def test_a_text_that_cannot_be_delivered_is_said_to(walker: Walker, world: World) -> None:
    before = walker.identify()
    walker.code_after(before)
    walker.wait_for("sent")
    provider_says(world, "undelivered", "30003")
    walker.wait_for("undelivered")
    walker.look("code-undelivered")


def test_without_scripts_one_looks_again_and_is_called_all_the_same(walk: Any, world: World) -> None:
    walker: Walker = walk("zh", *SIZES["zh"], scripts=False)
    before = walker.identify()
    walker.code_after(before)
    assert walker.page.locator('form[action="/code/call"]').count() == 0
    walker.page.wait_for_timeout(20_000)
    walker.page.locator('noscript a[href="/code"], main p a[href="/code"]').first.click()
    walker.press("/code/call")
    walker.at("/code")
    assert "电话" in str(walker.page.locator("h1").text_content())


@pytest.mark.parametrize("language", ["zh", "en"])
def test_support_sees_how_the_carriers_do_and_tries_one(walk: Any, world: World, language: str) -> None:
    staff = world.facts["staff"]
    walker: Walker = walk(language, 1280, 800)
    sign_in(walker, "/admin/login/", staff, "admin-login")
    walker.at("/admin/")
    walker.go("/admin/portal/message/")
    walker.page.locator('.object-tools a[href="/admin/portal/message/carriers/"]').click()
    walker.at("/admin/portal/message/carriers/")
    walker.look("admin-carriers")
    world.stack.run("-m", "tests.journeys.backstage", "promote", staff["username"], "yes")
    walker.go("/admin/portal/message/try/")
    walker.page.locator('form.reply [type="submit"]').click()
    walker.page.wait_for_selector(".error")
    walker.look("admin-try")
    walker.page.locator('[name="phone"]').fill("13800002099")
    walker.page.locator('form.reply [type="submit"]').click()
    walker.page.wait_for_url("**/change/")
    world.stack.run("-m", "tests.journeys.backstage", "promote", staff["username"], "no")


def test_a_stranger_takes_the_same_course(walker: Walker, world: World) -> None:
    walker.go("/")
    walker.send("shop", shop="898440158129999", phone="13900001234")
    walker.at("/code")
    walker.page.wait_for_selector('[data-phase="going"]')
    walker.page.wait_for_selector(
        '[data-phase="sent"], [data-phase="delivered"], [data-phase="undelivered"]', timeout=20_000
    )
