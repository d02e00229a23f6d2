"""300 resets while Redis forgets everything every five seconds and a worker child dies every second."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from terminals.policy import Context, PasswordPolicy, violations
from terminals.protocol import APPLIED
from tests import stack
from tests.driver import Driver
from tests.faults.chaos import Chaos, flush, going_on, kill_worker_child
from tests.faults.ledger import Machine, Verdict, compare, read_machine

TILLS = 20
OPERATORS = 15
SETTLE_S = 60
STARTS = 3
LIMITS = (
    "sms-per-phone=1000/day,sms-per-merchant=1000/day,sms-per-block=10000/hour,sms-overall=10000/hour,"
    "pairing=1000/hour,pairing-overall=1000/hour"
)
POLICY = PasswordPolicy("digits", 4, 6)


@dataclass
class Asked:
    """One reset as the browser saw it."""

    terminal: str
    operator: str
    password: str
    browser: Driver
    at: float


def passwords(shop: dict[str, Any]) -> Iterator[str]:
    """Six digits that this shop's rules allow, each once."""
    dice = random.Random(shop["shop"])
    known = Context(shop["shop"], shop["serial"], shop["serial"], shop["phone"])
    drawn: set[str] = set()
    while True:
        password = f"{dice.randrange(10**6):06}"
        if password not in drawn and not violations(password, POLICY, known):
            drawn.add(password)
            yield password


def one_merchant(server: stack.Stack, index: int, shop: dict[str, Any]) -> list[Asked]:
    """The resets of one merchant, one after another: the next one starts as soon as one is on its way."""
    asked, fresh = [], passwords(shop)
    for turn, operator in enumerate(shop["operators"]):
        browser = prove(server, f"10.{index}.{turn}.1", shop)
        browser.choose(operator)
        password = next(fresh)
        browser.set_password(password)
        asked.append(Asked(shop["terminal"], operator, password, browser, time.monotonic()))
    return asked


def prove(server: stack.Stack, address: str, shop: dict[str, Any]) -> Driver:
    """A browser past the code. Who gets no text in two minutes starts again."""
    for _ in range(STARTS):
        browser = Driver(server.origin, address=address, sms=server.var / "sms.log", limit_s=30)
        seen = len(browser.codes(shop["phone"]))
        browser.identify(shop["shop"], shop["phone"])
        if code := browser.await_code(shop["phone"], seen):
            browser.type_code(code)
            return browser
    raise AssertionError(f"no text for {shop['shop']}")


def wait_until_applied(asked: list[Asked], within_s: float) -> int:
    """Look at one status page after another until all say so; returns how many do not in time."""
    deadline, left = time.monotonic() + within_s, asked[::-1]
    while left and time.monotonic() < deadline:
        if left[-1].browser.phase == APPLIED:
            left.pop()
        else:
            time.sleep(0.2)
    return len(left)


def install_tills(server: stack.Stack, tills: int, operators: int) -> list[dict[str, Any]]:
    """So many merchants, each with a terminal that has paired itself."""
    shops: list[dict[str, Any]] = server.office("shops", count=tills, operators=operators)
    for shop in shops:
        shop["state"] = str(server.var / "tills" / shop["serial"])
    book = server.var / "tills.json"
    book.write_text(json.dumps(shops))
    server.start("tills", [sys.executable, "-m", "tests.faults.tills", server.origin, str(book)])
    deadline = time.monotonic() + 60
    while server.children["tills"].log.read_text().count(" active") < tills:
        assert time.monotonic() < deadline, server.last_words()
        time.sleep(0.2)
    return shops


def judge(server: stack.Stack, shops: list[dict[str, Any]], asked: list[Asked]) -> Verdict:
    """Stop the tills and hold browsers, database and journals against each other."""
    server.children.pop("tills").stop()
    wanted: dict[str, dict[str, str]] = {shop["terminal"]: {} for shop in shops}
    for one in asked:
        wanted[one.terminal][one.operator] = one.password
    machines: dict[str, Machine] = {
        shop["terminal"]: read_machine(Path(shop["state"]), wanted[shop["terminal"]]) for shop in shops
    }
    every = {(one.terminal, one.operator): one.password for one in asked}
    return compare(every, server.office("commands"), machines, server.office("counts")["terminals"])


@pytest.mark.live
@pytest.mark.slow
def test_no_reset_is_lost_doubled_or_invented(tmp_path: Path) -> None:
    with stack.running(tmp_path / "var", REKEY_TRUSTED_PROXIES="1", REKEY_LIMITS=LIMITS) as server:
        shops = install_tills(server, TILLS, OPERATORS)
        faults = (
            Chaos("FLUSHALL", 5, flush(server)),
            Chaos("kill -9", 1, kill_worker_child(server)),
        )
        began = time.monotonic()
        with ThreadPoolExecutor(TILLS) as pool, going_on(*faults):
            runs = [pool.submit(one_merchant, server, index, shop) for index, shop in enumerate(shops)]
            asked = [one for run in runs for one in run.result()]
            last = max(one.at for one in asked)
            left = wait_until_applied(asked, SETTLE_S)
        settled = time.monotonic() - last
        verdict = judge(server, shops, asked)
        print(
            f"\n{len(asked)} resets through {TILLS} tills in {time.monotonic() - began:.0f} s, "
            + ", ".join(f"{fault.count} × {fault.name}" for fault in faults)
            + f": {verdict}; settled {settled:.1f} s after the last"
        )
        assert len(asked) == TILLS * OPERATORS
        assert (left, verdict) == (0, Verdict([], [], [], [])), server.last_words()
