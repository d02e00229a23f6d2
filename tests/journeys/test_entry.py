"""Invited, and password forgotten: from the support desk's sheet and from the sign-in page to the account."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django_otp.oath import totp

from tests.journeys.test_account import enrol
from tests.journeys.walker import Walker, World

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
GOOD = "lamp-sofa-river"


def backstage(world: World, *verb: str) -> list[str]:
    return world.stack.run("-m", "tests.journeys.backstage", *verb).split()


def text_code(walker: Walker, before: int) -> None:
    walker.page.wait_for_selector('[name="code"]')
    walker.send("code", code=walker.code_after(before))


def test_somebody_who_was_invited_comes_to_an_account_of_their_own(walk: Any, world: World) -> None:
    walker = walk("zh", 390, 844)
    walker.go("/sign-in")
    walker.page.locator('main a[href="/join"]').click()
    walker.look("join")
    walker.send("code", code="ABCD-EFGH-JKMN-PQRV")
    walker.look("join-unknown")
    before = len(world.texts())
    walker.send("code", code=world.facts["invitation"].lower().replace("-", " "))
    walker.at("/join/code")
    walker.look("join-code")
    text_code(walker, before)
    walker.at("/join/account")
    walker.look("join-account")
    walker.send("username", username="chenjing", new_password="woaini5201314", again="woaini5201314")
    walker.look("join-account-guessable")
    walker.send("username", username="chenjing", new_password=GOOD, again=GOOD)
    walker.at("/account/secure")
    enrol(walker)
    walker.look("join-done")
    assert walker.page.locator("main").inner_text().count("Chrome") >= 1


def test_a_forgotten_password_is_replaced_and_nobody_is_signed_in_by_it(walk: Any, world: World) -> None:
    walker = walk("en", 1280, 800, named=True)
    username = world.facts["owner"]["username"]
    seed = backstage(world, "app", username)[0]
    walker.go("/sign-in")
    walker.page.locator('main a[href="/forgotten-password"]').click()
    walker.look("forgotten")
    walker.send("username", username=username)
    walker.at("/forgotten-password/factor")
    walker.look("forgotten-factor")
    walker.send("code", code="000000")
    walker.look("forgotten-factor-wrong")
    walker.send("code", code=f"{totp(base64.b32decode(seed)):06}")
    walker.at("/forgotten-password/prove")
    walker.look("forgotten-prove")
    before = len(world.texts())
    walker.send("way", way="text")
    walker.look("forgotten-code")
    text_code(walker, before)
    walker.at("/forgotten-password/new")
    walker.look("forgotten-new")
    old, new = world.facts["owner"]["password"], world.facts["owner"]["password"] + "-2"
    walker.send("new_password", new_password=new, again=new)
    walker.at("/forgotten-password/done")
    walker.look("forgotten-done")
    walker.go("/account")
    walker.at("/sign-in")
    walker.send("username", username=username, password=old)
    walker.look("forgotten-old-password")
    walker.send("username", username=username, password=new)
    walker.at("/sign-in/code")
    world.facts["owner"]["password"] = new
    lost_device(walker, world, username)


def lost_device(walker: Walker, world: World, username: str) -> None:
    """From there the app is gone as well: the password was just given, then the phone and a code on paper."""
    card = backstage(world, "paper", username)
    walker.page.locator('main a[href="/lost-device"]').click()
    walker.at("/lost-device/prove")
    walker.look("lost-prove")
    walker.send("way", way="paper")
    walker.look("lost-paper")
    walker.send("code", code=card[0])
    walker.at("/lost-device/prove")
    walker.look("lost-prove-again")
    before = len(world.texts())
    walker.send("way", way="text")
    text_code(walker, before)
    walker.at("/lost-device/remove")
    walker.look("lost-remove")
    walker.page.locator("main button.key--stop").click()
    walker.at("/lost-device/done")
    walker.look("lost-done")
