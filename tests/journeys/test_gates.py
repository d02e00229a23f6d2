"""The supervisor is reset far from the till: a text and one more proof, each way in a real browser."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django_otp.oath import totp

from tests.journeys.test_account import first_sign_in, make_passkey, plug_in
from tests.journeys.walker import Walker, World

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
MAILBOX, CONTACT = "fumanlou@example.com", "+8613800002077"
WAYS = [("zh", (390, 844), True), ("en", (1280, 800), True), ("zh", (390, 844), False)]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{'scripts' if way[2] else 'bare'}")
def walker(walk: Any, request: pytest.FixtureRequest) -> Any:
    language, (width, height), scripts = request.param
    return walk(language, width, height, scripts=scripts)


def backstage(world: World, verb: str, *given: str) -> list[str]:
    owner = world.facts["owner"]["username"]
    return world.stack.run("-m", "tests.journeys.backstage", verb, owner, *given).split()


def to_the_ways(walker: Walker) -> None:
    """A text, the supervisor, and the page that asks for more."""
    walker.prove()
    walker.send("operator", operator="00")
    walker.at("/prove/00")


def choose(walker: Walker, way: str, path: str) -> None:
    walker.send("way", way=way)
    walker.at(f"/prove/00/{path}")
    walker.look(f"prove-by-{path}")


def set_and_sign_on(walker: Walker) -> None:
    """The password comes into force and the till knows it."""
    walker.at("/password")
    password = walker.world.new_password(least=6)
    walker.send("new_password", new_password=password, again=password)
    walker.at("/status")
    walker.wait_for("applied")
    assert walker.world.sign_on("00", password)


def test_with_an_authenticator_app(walker: Walker, world: World) -> None:
    (seed,) = backstage(world, "app")
    to_the_ways(walker)
    walker.look("prove")
    choose(walker, "totp", "app")
    walker.send("code", code=f"{(totp(base64.b32decode(seed)) + 500_000) % 10**6:06}")
    walker.look("prove-by-app-wrong")
    walker.send("code", code=f"{totp(base64.b32decode(seed)):06}")
    set_and_sign_on(walker)


def test_with_a_code_on_paper(walker: Walker, world: World) -> None:
    codes = backstage(world, "paper")
    to_the_ways(walker)
    choose(walker, "recovery_code", "paper")
    walker.send("code", code=codes[0][:-1])
    walker.look("prove-by-paper-slip")
    walker.send("code", code=codes[0].lower())
    set_and_sign_on(walker)


@pytest.mark.parametrize(("language", "width", "height"), [("zh", 390, 844), ("en", 1280, 800)])
def test_with_a_passkey(walk: Any, world: World, language: str, width: int, height: int) -> None:
    backstage(world, "forget")
    walker = walk(language, width, height, named=True)
    plug_in(walker)
    first_sign_in(walker)
    walker.go("/account/passkeys/new")
    make_passkey(walker, "手机")
    walker.at("/account")
    to_the_ways(walker)
    choose(walker, "passkey", "passkey")
    walker.page.locator("main form[data-passkey] button.key").click()
    set_and_sign_on(walker)


def test_with_a_call_and_a_code_by_mail(walker: Walker, world: World) -> None:
    backstage(world, "people", MAILBOX, CONTACT)
    walker.code_after(walker.identify())
    world.stack.run("-m", "tests.journeys.backstage", "wait")
    walker.go("/code")
    before = len(world.texts())
    walker.press("/code/call")
    walker.at("/code")
    walker.send("code", code=walker.code_after(before))
    walker.at("/operator")
    walker.send("operator", operator="00")
    choose(walker, "email", "email")
    mails = len(world.mails(MAILBOX))
    walker.page.locator("main button.key").click()
    walker.at("/prove/00/email/code")
    walker.look("prove-by-email-code")
    code = world.mailed_code(MAILBOX, mails)
    walker.send("code", code=f"{(int(code) + 1) % 10**6:06}")
    walker.look("prove-by-email-wrong")
    walker.send("code", code=code)
    set_and_sign_on(walker)


@pytest.mark.parametrize(("language", "scripts"), [("zh", False), ("en", True)])
def test_with_a_recovery_contact(walk: Any, world: World, language: str, scripts: bool) -> None:
    walker = walk(language, 390, 844, scripts=scripts)
    backstage(world, "people", MAILBOX, CONTACT)
    to_the_ways(walker)
    choose(walker, "contact", "contact")
    before = len(world.texts())
    walker.page.locator("main button.key").click()
    walker.at("/prove/00/contact/code")
    walker.look("prove-by-contact-code")
    code = walker.code_after(before)
    assert any(CONTACT in text and code in text for text in world.texts()[before:])
    walker.send("code", code=code)
    set_and_sign_on(walker)


@pytest.mark.parametrize(("language", "scripts"), [("zh", False), ("en", True)])
def test_who_has_no_second_proof_is_called_back(
    walk: Any, world: World, language: str, scripts: bool
) -> None:
    walker = walk(language, 390, 844, scripts=scripts)
    to_the_ways(walker)
    walker.page.locator('main a.key[href="/support"]').click()
    walker.at("/support")
    walker.send("text", text="主管密码忘了，别的都没有")
    walker.at("/support/sent")
    number = walker.page.locator("main .facts .num").inner_text().strip()
    assert world.stack.run("-m", "tests.journeys.backstage", "ticket", number).split() == ["choose", "True"]


def test_a_passkey_says_where_it_works_and_what_it_needs(walk: Any, world: World) -> None:
    backstage(world, "app")
    bare = walk("en", 1280, 800, scripts=False)
    to_the_ways(bare)
    assert bare.page.locator('[value="passkey"]').count() == 0
    assert bare.page.get_by_text("No owner of this shop has made one.").count() == 1
    bare.look("prove-shut")
