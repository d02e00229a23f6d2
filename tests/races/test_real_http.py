"""Many requests of one browser at the same moment, through real web and worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests import stack
from tests.driver import Driver
from tests.faults import test_redis_and_worker_loss as loss

pytestmark = [pytest.mark.live, pytest.mark.slow]
COOKIE = "rekey_recovery"
LIMITS = f"{loss.LIMITS},identify=1000/hour,code=1000/hour"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Stack]:
    """One stack for all four races."""
    var = tmp_path_factory.mktemp("races") / "var"
    with stack.running(var, REKEY_TRUSTED_PROXIES="1", REKEY_LIMITS=LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def shops(server: stack.Stack) -> Iterator[dict[str, Any]]:
    """A shop for each race, with a till that is paired."""
    return iter(loss.install_tills(server, tills=4, operators=1))


def volley(browser: Driver, name: str, times: int, **typed: str) -> list[httpx.Response]:
    """The form of this page, sent so often from 25 connections at once; the answers."""
    form, page = browser.form(name), str(browser.page.request.url)
    target, cookies = urljoin(page, form.action or page), dict(browser.client.cookies)
    headers = {"X-Forwarded-For": "10.7.7.1", "Accept-Language": "en"}

    def send(_: int) -> httpx.Response:
        return httpx.post(
            target, data={**form.fields, **typed}, cookies=cookies, headers=headers, timeout=60, verify=False
        )

    with ThreadPoolExecutor(25) as pool:
        return list(pool.map(send, range(times)))


def started(server: stack.Stack, shop: dict[str, Any]) -> tuple[Driver, str]:
    """A browser on the page that asks for the code, and the code."""
    browser = Driver(server.origin, address="10.7.1.1", sms=server.var / "sms.log", limit_s=60)
    browser.identify(shop["shop"], shop["phone"])
    return browser, browser.await_code(shop["phone"], 0)


def test_T10_of_fifty_wrong_codes_five_are_judged(
    server: stack.Stack, shops: Iterator[dict[str, Any]]
) -> None:
    shop = next(shops)
    browser, code = started(server, shop)
    answers = volley(browser, "code", 50, code=f"{(int(code) + 1) % 10**6:06}")
    browser.send("POST", "/code", data={**browser.form("code").fields, "code": code})
    [challenge] = server.office("challenges", number=shop["shop"])
    print(f"\n50 wrong codes at once: {challenge['attempts']} judged; afterwards the right one is refused")
    assert (challenge["attempts"], challenge["used"]) == (5, False)
    assert all(answer.status_code == 200 for answer in answers)


def test_T10_of_fifty_right_codes_one_is_accepted(
    server: stack.Stack, shops: Iterator[dict[str, Any]]
) -> None:
    shop = next(shops)
    browser, code = started(server, shop)
    answers = volley(browser, "code", 50, code=code)
    fresh = {answer.cookies.get(COOKIE) for answer in answers} - {None, "", browser.client.cookies[COOKIE]}
    print(f"\n50 right codes at once: {len(fresh)} accepted")
    assert len(fresh) == 1
    assert all(answer.status_code < 500 for answer in answers)


def test_T14_of_twenty_resends_one_text_is_sent(server: stack.Stack, shops: Iterator[dict[str, Any]]) -> None:
    shop = next(shops)
    browser, code = started(server, shop)
    server.office("let_a_minute_pass")
    browser.go("/code")
    answers = volley(browser, "/code/resend", 20)
    assert browser.await_code(shop["phone"], 1) == code
    [challenge] = server.office("challenges", number=shop["shop"])
    print(f"\n20 resends at once: {challenge['texts'] - 1} text sent")
    assert (challenge["sends"], challenge["texts"]) == (2, 2)
    assert browser.codes(shop["phone"]) == [code, code]
    assert all(answer.status_code < 500 for answer in answers)


def test_of_fifty_submissions_one_command_comes(server: stack.Stack, shops: Iterator[dict[str, Any]]) -> None:
    shop = next(shops)
    browser, code = started(server, shop)
    browser.type_code(code)
    browser.choose(shop["operators"][0])
    password = next(loss.passwords(shop))
    answers = volley(browser, "new_password", 50, new_password=password, again=password)
    mine = [row for row in server.office("commands") if row["terminal_id"] == shop["terminal"]]
    print(f"\n50 submissions at once: {len(mine)} command")
    assert len(mine) == 1
    assert all(answer.status_code < 500 for answer in answers)
