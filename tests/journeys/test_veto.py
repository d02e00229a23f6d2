"""A changed phone is undone from a mail: its link, behind whose hash the number stands, and one button."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.journeys.test_gates import CONTACT, MAILBOX, backstage
from tests.journeys.walker import PATIENCE_MS, World

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
LINK = re.compile(r"(/veto)#([B-Z2-9]{4}-[B-Z2-9]{4})")
STRANGE = "+8613900003057"


def link_after(world: World, before: int) -> re.Match[str]:
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not (found := [*filter(None, map(LINK.search, world.mails(MAILBOX)[before:]))]):
        assert time.monotonic() < deadline, world.stack.last_words()
        time.sleep(0.1)
    return found[-1]


def test_the_old_owner_undoes_a_changed_phone_with_one_tap(walk: Any, world: World) -> None:
    backstage(world, "people", MAILBOX, CONTACT)
    before = len(world.mails(MAILBOX))
    (old,) = backstage(world, "swap", STRANGE)
    link = link_after(world, before)
    walker = walk("zh", 390, 844)
    walker.go("/veto")
    # The page is open already: the link changes what is behind the hash, and nothing is loaded.
    walker.page.evaluate("number => { window.location.hash = number; }", link[2])
    walker.page.wait_for_function("() => document.querySelector('[name=number]').value !== ''")
    walker.go("/")
    walker.go(link[0])
    walker.look("veto")
    assert walker.page.locator("[name=number]").input_value() == link[2]
    assert walker.page.url == f"{walker.origin}/veto"
    assert backstage(world, "phone") == [STRANGE]
    walker.page.locator("main button.key").click()
    walker.page.get_by_role("heading", name="已经撤销").wait_for()
    walker.look("vetoed")
    assert backstage(world, "phone") == [old]
    walker.go("/veto")
    walker.send("number", number=link[2].lower().replace("-", " "))
    walker.page.locator(".field--bad").wait_for()
    walker.look("veto-used")
