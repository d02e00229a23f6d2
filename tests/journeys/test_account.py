"""An owner's account: first a second factor, then passkeys in a real browser with an authenticator in it."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from django_otp.oath import totp

from tests.journeys.walker import Walker, World

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
WAYS = [("zh", (390, 844)), ("en", (1280, 800))]


@pytest.fixture(params=WAYS, ids=lambda way: way[0])
def walker(walk: Any, world: World, request: pytest.FixtureRequest) -> Any:
    language, (width, height) = request.param
    world.stack.run("-m", "tests.journeys.backstage", "forget", world.facts["owner"]["username"])
    return walk(language, width, height, named=True)


def first_sign_in(walker: Walker) -> None:
    """Password and text, as on the first day."""
    before = len(walker.world.texts())
    give_password(walker)
    walker.page.wait_for_selector('[name="code"]')
    walker.send("code", code=walker.code_after(before))
    walker.at("/account/secure")


def give_password(walker: Walker) -> None:
    walker.go("/sign-in")
    walker.page.locator('[name="username"]').fill(walker.world.facts["owner"]["username"])
    walker.page.locator('[name="password"]').fill(walker.world.facts["owner"]["password"])
    walker.page.locator('form:has([name="password"]) [type="submit"]').click()


def enrol(walker: Walker) -> str:
    """Set up an authenticator app from what the page shows; its seed."""
    walker.go("/account/app/new")
    walker.look("app-new")
    seed = "".join(re.findall(r"\b[A-Z2-7]{4}\b", walker.page.locator(".seed").inner_text()))
    walker.send("code", code="000000")
    walker.look("app-new-wrong")
    walker.send("code", code=f"{totp(base64.b32decode(seed)):06}")
    walker.at("/account")
    return seed


def plug_in(walker: Walker, *, verifies: bool = True) -> tuple[Any, str]:
    """An authenticator in this browser, whose person shows a finger at once."""
    devtools = walker.context.new_cdp_session(walker.page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": verifies,
        "automaticPresenceSimulation": True,
    }
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devtools, str(made["authenticatorId"])


def make_passkey(walker: Walker, name: str) -> None:
    walker.page.locator('[name="name"]').fill(name)
    walker.page.locator("main form[data-passkey] button.key").click()


def test_an_owner_makes_names_uses_and_removes_a_passkey(walker: Walker) -> None:
    first_sign_in(walker)
    walker.look("secure")
    devtools, device = plug_in(walker)
    walker.page.locator('main a[href="/account/passkeys/new"]').click()
    walker.at("/account/passkeys/new")
    walker.look("passkey-new")
    make_passkey(walker, "")
    walker.page.wait_for_selector(".field--bad")
    walker.look("passkey-new-error")
    make_passkey(walker, "手机")
    walker.at("/account")
    walker.look("account")
    assert len(devtools.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]) == 1

    walker.page.locator("header form button").click()
    walker.at("/signed-out")
    walker.go("/sign-in")
    walker.look("sign-in-passkey")
    walker.page.locator("main form[data-passkey] button.key").click()
    walker.at("/home")

    walker.page.locator("header form button").click()
    give_password(walker)
    walker.at("/sign-in/code")
    walker.look("sign-in-code-passkey")
    walker.page.locator("main form[data-passkey] button.key").click()
    walker.at("/home")

    enrol(walker)
    walker.go("/account")
    walker.page.locator('main a[href$="/edit"]').click()
    walker.look("passkey-edit")
    walker.page.locator('[name="name"]').fill("收银台的手机")
    walker.page.locator("main button.key").click()
    walker.at("/account")
    walker.page.locator('main a[href$="/remove"]').first.click()
    walker.look("passkey-remove")
    walker.page.locator("main button.key--stop").click()
    # It was what this session came in by.
    walker.at("/sign-in")


def test_an_authenticator_that_does_not_verify_its_person_makes_no_passkey(walker: Walker) -> None:
    first_sign_in(walker)
    plug_in(walker, verifies=False)
    walker.go("/account/passkeys/new")
    make_passkey(walker, "x")
    walker.page.wait_for_selector("[data-passkey-trouble]:not([hidden])")
    walker.look("passkey-new-failed")


def test_proving_it_again_with_app_or_passkey(walker: Walker, world: World) -> None:
    first_sign_in(walker)
    plug_in(walker)
    walker.go("/account/passkeys/new")
    make_passkey(walker, "x")
    walker.at("/account")
    enrol(walker)
    walker.go("/account/confirm?next=/account/app/remove")
    walker.look("confirm")
    walker.send("code", code="000000")
    walker.look("confirm-wrong")
    walker.page.locator("main form[data-passkey] button.key").click()
    walker.at("/account/app/remove")
    walker.look("app-remove")


def test_under_an_address_without_a_name_the_page_says_where_passkeys_work(walk: Any, world: World) -> None:
    world.stack.run("-m", "tests.journeys.backstage", "forget", world.facts["owner"]["username"])
    walker = walk("en", 390, 844)
    first_sign_in(walker)
    walker.look("secure-elsewhere")
    assert "http://localhost:" in walker.page.locator("main").inner_text()
