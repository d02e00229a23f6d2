"""Every other page in both languages: refusals, errors, ends, support, the owner's and the staff's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.utils import unquote

from tests.cast import ANOTHER
from tests.journeys.test_account import enrol
from tests.journeys.walker import Walker, World

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.slow]
MODELS = ("recovery/recovery", "recovery/ticket", "terminals/terminal", "terminals/command", "portal/message")
SIZES = {"zh": (390, 844), "en": (1280, 800)}


@pytest.fixture(scope="module")
def neighbour(world: World) -> Callable[..., None]:
    """The shop on paper is there; call this to make its till do something."""
    world.stack.run("-m", "tests.journeys.backstage", "shop")

    def move(*words: str) -> None:
        words = words if words == ("answer",) else ("move", *words)
        world.stack.run("-m", "tests.journeys.backstage", *words)

    return move


@pytest.fixture(params=["zh", "en"])
def walker(walk: Any, request: pytest.FixtureRequest) -> Any:
    return walk(request.param, *SIZES[request.param])


def prove(walker: Walker) -> None:
    before = len(walker.world.texts())
    walker.go("/")
    walker.send("shop", shop=ANOTHER["number"], phone=ANOTHER["phone"])
    walker.at("/code")
    walker.send("code", code=walker.code_after(before))
    walker.at("/terminal")


def choose(walker: Walker) -> None:
    prove(walker)
    walker.page.locator('[name="terminal"]').first.check()
    walker.page.locator("main button.key").click()
    walker.at("/operator")
    walker.send("operator", operator="05")
    walker.at("/password")


def dispatch(walker: Walker) -> None:
    choose(walker)
    password = walker.world.new_password()
    walker.send("new_password", new_password=password, again=password)
    walker.at("/status")


def test_what_can_go_wrong_before_the_password(
    walker: Walker, world: World, neighbour: Callable[..., None]
) -> None:
    walker.go("/")
    walker.send("shop", shop="89844015812003", phone="12345")
    walker.look("identify-error")
    before = len(world.texts())
    walker.send("shop", shop=ANOTHER["number"], phone=ANOTHER["phone"])
    walker.at("/code")
    code = walker.code_after(before)
    walker.send("code", code=f"{(int(code) + 1) % 10**6:06}")
    walker.look("code-wrong")
    walker.send("code", code=code)
    walker.at("/terminal")
    walker.look("choose-terminal")
    walker.page.locator('[name="terminal"]').last.check()
    walker.page.locator("main button.key").click()
    walker.at("/operator")
    walker.send("operator", operator="00")
    walker.at("/prove/00")
    walker.look("refused")
    walker.go("/operator")
    walker.send("operator", operator="05")
    walker.at("/password")
    walker.send("new_password", new_password="1234", again="4321")
    walker.look("new-password-error")
    assert walker.page.locator('[name="new_password"]').input_value() == ""
    walker.go("/operator")
    walker.press("/operator/remembered")
    walker.at("/operator/remembered")
    walker.look("remembered")


def test_all_that_can_become_of_a_reset(walker: Walker, neighbour: Callable[..., None]) -> None:
    dispatch(walker)
    walker.wait_for("offline")
    walker.look("status-offline")
    walker.go("/status/withdraw")
    walker.look("withdraw")
    walker.page.locator("main button.key").click()
    walker.wait_for("cancelled")
    walker.look("status-cancelled")
    dispatch(walker)
    neighbour("fetched")
    walker.wait_for("fetched")
    walker.look("status-fetched")
    walker.go("/status/withdraw")
    walker.page.locator("main button.key").click()
    walker.wait_for("cancelling")
    walker.look("status-cancelling")
    neighbour("answer")
    walker.wait_for("cancelled")
    dispatch(walker)
    neighbour("fetched")
    neighbour("rejected", "policy_rejected")
    walker.wait_for("rejected")
    walker.look("status-rejected")
    walker.press("/status/again")
    walker.at("/password")
    walker.press("/password/choose")
    walker.at("/status")
    neighbour("fetched")
    neighbour("applied")
    walker.wait_for("choosing")
    walker.look("status-choosing")


def test_the_way_out_to_support(walker: Walker, neighbour: Callable[..., None]) -> None:
    walker.go("/support")
    walker.look("support")
    walker.send("text", text="")
    walker.look("support-error")
    prove(walker)
    walker.go("/support")
    walker.look("support-step")
    walker.send("text", text="密码 123456 不行")
    walker.at("/support/sent")
    walker.look("support-sent")


@pytest.mark.parametrize(
    ("path", "name", "status"),
    [
        ("/operator", "expired", 410),
        ("/no-such-page", "404", 404),
        ("/hotline", "hotline", 200),
        ("/privacy", "privacy", 200),
        ("/signed-out", "signed-out", 200),
    ],
)
def test_pages_that_need_nothing(walker: Walker, path: str, name: str, status: int) -> None:
    walker.go(path, status)
    walker.look(name)


def sign_in(walker: Walker, door: str, who: dict[str, str], picture: str) -> None:
    """Password, then the code from the text; both pages looked at."""
    before = len(walker.world.texts())
    walker.go(door)
    walker.look(picture)
    walker.page.locator('[name="username"]').fill(who["username"])
    walker.page.locator('[name="password"]').fill(who["password"])
    walker.page.locator('form:has([name="password"]) [type="submit"]').first.click()
    walker.page.wait_for_selector('[name="code"]')
    walker.look(f"{picture}-code")
    walker.page.locator('[name="code"]').fill(walker.code_after(before))
    walker.page.locator('form:has([name="code"]) [type="submit"]').first.click()


def test_an_owner_looks_around_and_starts_a_reset(walker: Walker, world: World) -> None:
    world.stack.run("-m", "tests.journeys.backstage", "forget", world.facts["owner"]["username"])
    sign_in(walker, "/sign-in", world.facts["owner"], "sign-in")
    walker.at("/account/secure")
    enrol(walker)
    walker.go("/home")
    walker.look("home")
    found = re.search(r"/terminals/(trm_[A-Za-z0-9_-]{16})", walker.page.content())
    assert found is not None
    terminal = found[0]
    for path, name in (
        (terminal, "terminal"),
        (f"{terminal}/edit", "terminal-edit"),
        (f"{terminal}/stop", "terminal-stop"),
        (f"{terminal}/replace", "terminal-replace"),
        (f"{terminal}/pair", "pair"),
        ("/terminals/new", "terminal-new"),
        ("/resets", "resets"),
    ):
        walker.go(path)
        walker.look(name)
    before = len(world.texts())
    walker.go(f"/start/{found[1]}/03")
    walker.look("start-signed-in")
    walker.page.locator("main button.key").click()
    walker.at("/code")
    walker.send("code", code=walker.code_after(before))
    walker.at("/password")
    walker.look("new-password-signed-in")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_support_sees_recoveries_and_tickets(walk: Any, world: World, language: str) -> None:
    walker = walk(language, 1280, 800)
    sign_in(walker, "/admin/login/", world.facts["staff"], "admin-login")
    walker.at("/admin/")
    walker.look("admin")
    for model in (
        "recovery/recovery",
        "recovery/ticket",
        "terminals/terminal",
        "terminals/command",
        "portal/message",
    ):
        walker.go(f"/admin/{model}/")
        walker.look(f"admin-{model.replace('/', '-')}")
        row = walker.page.locator("#result_list tbody th a").first
        if row.count():
            row.click()
            walker.page.wait_for_url("**/change/")
            walker.look(f"admin-{model.replace('/', '-')}-one")
    world.stack.run("-m", "tests.journeys.backstage", "trust", world.facts["staff"]["username"])
    number = world.facts["terminal"]["number"]
    walker.go(f"/admin/terminals/terminal/?q={number}")
    found = re.search(r"/admin/terminals/terminal/(trm_[A-Za-z0-9_-]+)/change", walker.page.content())
    assert found is not None
    walker.go(f"/admin/terminals/command/queue/{unquote(found[1])}/")
    walker.look("admin-queue")
    walker.page.locator('[name="kind"]').select_option("message")
    walker.page.locator('[name="text"]').fill("Hotline 400 800 0000")
    walker.page.locator('form.order [name="why"]').fill("tried from the desk")
    walker.page.locator('[name="send"]').click()
    walker.page.wait_for_selector(".messagelist .success")
    walker.look("admin-queue-sent")
    walker.go("/admin/terminals/terminalalert/")
    walker.look("admin-alerts")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_support_registers_a_list_and_prints_its_sheet(
    walk: Any, world: World, tmp_path: Path, language: str
) -> None:
    world.stack.run("-m", "tests.journeys.backstage", "trust", world.facts["staff"]["username"])
    walker = walk(language, *SIZES[language])
    sign_in(walker, "/admin/login/", world.facts["staff"], "admin-login")
    walker.at("/admin/")
    merchant, serial = world.facts["merchant"]["number"], f"RKL-{language.upper()}-"
    head = "number,serial,name,model,merchant,store"
    rows = [f"L{language.upper()}0000{n},{serial}{n},{n} 号,RK-100,{merchant},南门店" for n in range(1, 5)]
    path = tmp_path / "tills.csv"
    for last, name in ((f"?,{serial}9,=1+1,RK-100,{merchant},南门店", "bad"), ("", "batch")):
        path.write_text("\n".join([head, *rows, last]), "gbk")
        walker.go("/admin/terminals/enrollmentbatch/add/")
        walker.page.locator('[name="name"]').fill("南门店")
        walker.page.locator('[name="file"]').set_input_files(path)
        walker.page.locator('form.reply [type="submit"]').click()
        walker.page.wait_for_load_state()
        walker.look(f"admin-list-{name}")
    walker.page.locator('form.reply [type="submit"]').click()
    walker.page.wait_for_selector("li svg.qr")
    walker.look("admin-sheet")
    assert walker.page.locator("li svg.qr").count() == len(rows)
