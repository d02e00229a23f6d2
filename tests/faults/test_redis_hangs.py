"""Redis stops answering for half a minute: pages do not wait for it, and nothing that was asked is lost."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import stack
from tests.driver import Driver
from tests.faults import test_redis_and_worker_loss as loss
from tests.faults.ledger import Verdict

HANG_S = 30
BROWSERS = 8
P99_S = 1.5
# Each browser goes round with many addresses, or the shields would answer instead of the pages.
LIMITS = f"{loss.LIMITS},identify=100000/hour,code=100000/hour,sign-in=100000/hour"


def look_around(server: stack.Stack, index: int, until: float) -> Driver:
    """One impatient browser: the first page, a new start, a wrong code, the sign-in page, again and again."""
    browser = Driver(server.origin, address=f"10.9.{index}.1", limit_s=20)
    while time.monotonic() < until:
        browser.identify("898440158129999", f"1390000{index:04}")
        browser.submit("code", code="000000")
        browser.go("/sign-in")
        browser.client.cookies.clear()
    return browser


def reset(server: stack.Stack, index: int, shop: dict[str, Any], browser: Driver) -> loss.Asked:
    """The last step of a journey that came as far as the password before Redis hung."""
    password = next(loss.passwords(shop))
    browser.set_password(password)
    return loss.Asked(shop["terminal"], shop["operators"][index], password, browser, time.monotonic())


def percentile(times: list[float], share: float) -> float:
    """The time that this share of them does not exceed."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


@pytest.mark.live
@pytest.mark.slow
def test_pages_answer_while_redis_hangs_and_resets_are_applied_afterwards(tmp_path: Path) -> None:
    with stack.running(tmp_path / "var", REKEY_TRUSTED_PROXIES="1", REKEY_LIMITS=LIMITS) as server:
        shops = loss.install_tills(server, tills=4, operators=1)
        ready = [loss.prove(server, f"10.8.{index}.1", shop) for index, shop in enumerate(shops)]
        for browser, shop in zip(ready, shops, strict=True):
            browser.choose(shop["operators"][0])
        os.kill(server.pid("redis"), signal.SIGSTOP)
        try:
            until = time.monotonic() + HANG_S
            with ThreadPoolExecutor(BROWSERS) as pool:
                visits = [pool.submit(look_around, server, index, until) for index in range(BROWSERS)]
                asked = [reset(server, 0, shop, one) for shop, one in zip(shops, ready, strict=True)]
                visitors = [visit.result() for visit in visits]
        finally:
            os.kill(server.pid("redis"), signal.SIGCONT)
        left = loss.wait_until_applied(asked, loss.SETTLE_S)
        verdict = loss.judge(server, shops, asked)
    took = [entry for visitor in visitors for entry in visitor.took]
    times = [seconds for _, seconds, _ in took]
    broken = [entry for entry in took if entry[2] >= 500]
    print(
        f"\nRedis stopped for {HANG_S} s: {len(times)} requests of {BROWSERS} browsers, p50 "
        f"{percentile(times, 0.5):.2f} s, p99 {percentile(times, 0.99):.2f} s, slowest {max(times):.2f} s, "
        f"{len(broken)} × 5xx; {len(asked)} resets meanwhile: {verdict}"
    )
    assert not broken
    assert (left, verdict) == (0, Verdict([], [], [], []))
    assert percentile(times, 0.99) <= P99_S
