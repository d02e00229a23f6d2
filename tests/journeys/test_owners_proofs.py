"""Everything an owner keeps for a bad day, and the desk's rules about it: each page looked at closely."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.test_account import enrol, first_sign_in
from tests.journeys.test_pages import SIZES, sign_in
from tests.journeys.walker import Walker, World

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
PHONES = {"zh": "13800002081", "en": "13800002082"}


@pytest.fixture(params=["zh", "en"])
def owner(walk: Any, world: World, request: pytest.FixtureRequest) -> Any:
    """An owner who has just signed in and set up an app, so that nothing is asked again."""
    world.stack.run("-m", "tests.journeys.backstage", "forget", world.facts["owner"]["username"])
    walker: Walker = walk(request.param, *SIZES[request.param])
    first_sign_in(walker)
    enrol(walker)
    return walker


def name_somebody(owner: Walker) -> None:
    """A contact, whose phone gets a code that comes back."""
    owner.go("/proofs/new")
    owner.look("address-new")
    owner.send("to", to="12", name="")
    owner.look("address-new-error")
    before = len(owner.world.texts())
    owner.page.locator('[name="holder"]').select_option("contact")
    owner.send("to", to=PHONES[owner.language], name="周姐")
    owner.at("/proofs/code")
    owner.look("address-code")
    code = owner.code_after(before)
    owner.send("code", code=f"{(int(code) + 1) % 10**6:06}")
    owner.look("address-code-wrong")
    owner.send("code", code=code)
    owner.at("/proofs")


def test_an_owner_names_confirms_and_removes_whom_to_ask(owner: Walker) -> None:
    owner.go("/proofs")
    owner.look("proofs-few")
    name_somebody(owner)
    owner.look("proofs")
    rows = owner.page.locator('main a[href^="/proofs/at/"]')
    links = [str(rows.nth(at).get_attribute("href")) for at in range(rows.count())]
    change = next(link for link in reversed(links) if not link.endswith("/remove"))
    owner.go(change)
    owner.look("address-change")
    owner.go("/proofs/phone")
    owner.look("phone-change")
    owner.go(f"{change}/remove")
    owner.look("address-remove")
    owner.page.locator("main button.key--stop").click()
    owner.at("/proofs")
    owner.page.locator("main .notice").first.wait_for()


def test_an_owner_prints_a_card_and_sees_where_they_are_signed_in(owner: Walker) -> None:
    owner.go("/proofs/paper")
    owner.look("paper")
    owner.page.locator("main button.key").click()
    owner.page.wait_for_load_state()
    owner.look("paper-sheet")
    assert owner.page.locator("main ol li, main .codes li").count() == 10
    owner.go("/account")
    owner.look("account-sessions")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_support_tries_a_rule_before_it_saves_it(walk: Any, world: World, language: str) -> None:
    staff = world.facts["staff"]
    walker: Walker = walk(language, 1280, 800)
    sign_in(walker, "/admin/login/", staff, "admin-login")
    walker.at("/admin/")
    world.stack.run("-m", "tests.journeys.backstage", "promote", staff["username"], "yes")
    walker.go("/admin/recovery/gatepolicy/add/")
    walker.page.locator('[name="ordinary"]').select_option("2")
    for method in ("totp", "passkey", "recovery_code", "possession"):
        walker.page.locator(f'[name="shut"][value="{method}"]').check()
    walker.page.locator('[name="_save"]').click()
    walker.page.wait_for_selector('[name="seen"]', state="attached")
    walker.look("admin-policy-dry-run")
    walker.page.locator('#content > p > a, p a[href$="/add/"]').last.click()
    walker.at("/admin/recovery/gatepolicy/add/")
    world.stack.run("-m", "tests.journeys.backstage", "promote", staff["username"], "no")
