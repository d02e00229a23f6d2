"""`python -m benchmarks.pages`: how soon each page shows something on a slow phone, into benchmarks/PAGES.md.

It needs Chromium. Every page is opened anew, with an empty cache, several times; the median counts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks import machine
from tests import chromium, stack
from tests.journeys.conftest import FLAGS, LIMITS, STATIC, serve_static_files, start_till
from tests.journeys.test_account import enrol, first_sign_in
from tests.journeys.walker import WEIGHT, Walker, World

HERE = Path(__file__).parent
PHONE = (390, 844)
BUDGET_MS, BUDGET_BYTES = 1500, 150_000
FCP = "performance.getEntriesByName('first-contentful-paint').map(one => one.startTime)[0]"
MAILBOX, CONTACT = "fumanlou@example.com", "+8613800002077"


@dataclass(frozen=True, slots=True)
class Profile:
    """A phone and its network: delay of a request (ms), bits a second, and how much slower the phone is."""

    name: str
    delay_ms: float
    down: float
    up: float
    cpu: int


# What Lighthouse assumes, and what it has DevTools apply so that handshakes are paid for as well.
PROFILES = (
    Profile("150 ms, 1.6 Mbit/s, CPU ÷ 4", 150, 1_638_400, 675_000, 4),
    Profile("562 ms, 1.4 Mbit/s, CPU ÷ 4", 562.5, 1_474_560, 675_000, 4),
)


@dataclass
class Stopwatch:
    """Looks at the page in front once more, as a slow phone would that was never here."""

    walker: Walker
    rounds: int
    rows: list[tuple[str, list[float], int]] = field(default_factory=list)

    def take(self, name: str) -> None:
        """Measure the page in front under each profile."""
        devtools = self.walker.context.new_cdp_session(self.walker.page)
        devtools.send("Network.enable")
        devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
        found = [self._under(devtools, profile) for profile in PROFILES]
        self.rows.append((name, found, int(self.walker.page.evaluate(WEIGHT))))
        print(f"· {name} {found[0]:.0f} {found[1]:.0f} ms", file=sys.stderr, flush=True)
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        devtools.detach()

    def _under(self, devtools: Any, profile: Profile) -> float:
        bytes_s = {"downloadThroughput": profile.down / 8, "uploadThroughput": profile.up / 8}
        network = {"offline": False, "latency": profile.delay_ms, **bytes_s}
        devtools.send("Network.emulateNetworkConditions", network)
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": profile.cpu})
        return median(self._once() for _ in range(self.rounds))

    def _once(self) -> float:
        self.walker.page.reload(wait_until="load")
        self.walker.page.wait_for_function(f"() => {FCP} > 0")
        return float(self.walker.page.evaluate(FCP))


def journey(walker: Walker, watch: Stopwatch) -> None:
    """From the first page to the receipt, by way of the supervisor and each further proof."""
    walker.go("/")
    watch.take("/ (which shop)")
    code = walker.code_after(walker.identify())
    watch.take("/code")
    walker.send("code", code=code)
    walker.at("/operator")
    watch.take("/operator")
    walker.send("operator", operator="00")
    walker.at("/prove/00")
    watch.take("/prove/00 (which proof)")
    for way in ("app", "email", "paper", "contact", "terminal"):
        walker.go(f"/prove/00/{way}")
        watch.take(f"/prove/00/{way}")
    walker.go("/operator")
    walker.send("operator", operator="03")
    walker.at("/password")
    watch.take("/password")
    walker.go("/offline")
    watch.take("/offline")
    walker.go("/password")
    password = walker.world.new_password()
    walker.send("new_password", new_password=password, again=password)
    walker.at("/status")
    walker.wait_for("applied")
    watch.take("/status (in force)")
    for path in ("/support", "/t", "/sign-in", "/hotline"):
        walker.go(path)
        watch.take(path)


def own_pages(walker: Walker, watch: Stopwatch) -> None:
    """What an owner sees who has signed in."""
    first_sign_in(walker)
    enrol(walker)
    for path in ("/home", "/account", "/account/confirm", "/account/passkeys/new", "/proofs", "/proofs/new"):
        walker.go(path)
        watch.take(path)
    for path in ("/proofs/phone", "/proofs/paper", "/resets"):
        walker.go(path)
        watch.take(path)


def measure(browser: Browser, rounds: int) -> list[tuple[str, list[float], int]]:
    """Every page of the journeys in a fresh installation."""
    with tempfile.TemporaryDirectory(prefix="rekey-pages-") as folder:
        told = {"REKEY_LIMITS": LIMITS, "REKEY_STATICFILES": STATIC}
        with stack.running(Path(folder), **told) as running:
            running.manage("loaddemo")
            serve_static_files(running)
            facts = json.loads((Path(folder) / "demo.json").read_text("utf-8"))
            world, owner = start_till(World(running, facts)), facts["owner"]["username"]
            for verb in (("app", owner), ("paper", owner), ("people", owner, MAILBOX, CONTACT)):
                running.run("-m", "tests.journeys.backstage", *verb)
            watches = []
            for walk in (journey, own_pages):
                walker = Walker(world, browser, "zh", PHONE)
                watches.append(Stopwatch(walker, rounds))
                walk(walker, watches[-1])
                running.run("-m", "tests.journeys.backstage", "forget", owner)
                walker.context.close()
            return [row for watch in watches for row in watch.rows]


def text(rows: list[tuple[str, list[float], int]], version: str, rounds: int) -> str:
    """The page of results."""
    facts = [
        *machine.describe(),
        ("browser", f"Chromium {version}, headless, {PHONE[0]}×{PHONE[1]}, Chinese"),
        ("opened", f"{rounds} times each, cache off; the median"),
        ("load", f"{os.getloadavg()[1]:.1f} processes ready to run, over five minutes"),
        ("when", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
    ]
    slow = [name for name, found, weight in rows if found[0] > BUDGET_MS or weight > BUDGET_BYTES]
    lines = [
        "# How soon a page shows something",
        "",
        "One run of `python -m benchmarks.pages`: milliseconds until the first content is painted, on",
        "a phone and a network that Chromium slows down. The first profile is what Lighthouse assumes of a",
        "slow phone, and the budget of 1,500 ms is for it; the second is what it has DevTools apply, where",
        "the delay of each request stands in for handshakes too. All of it runs on one machine.",
        "Bytes are a first load, compressed.",
        "",
        "| machine | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts),
        "",
        f"Over the budget of {BUDGET_MS:,} ms or {BUDGET_BYTES:,} bytes: {', '.join(slow) or 'none'}.",
        "",
        "| page | " + " | ".join(profile.name for profile in PROFILES) + " | bytes |",
        "|---|" + "---:|" * (len(PROFILES) + 1),
        *(f"| {name} | {found[0]:.0f} | {found[1]:.0f} | {weight:,} |" for name, found, weight in rows),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write down; 1 when a page is over the budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", metavar="FILE", default=str(HERE / "PAGES.md"))
    options = parser.parse_args(arguments)
    path = chromium.find()
    if path is None:
        raise SystemExit("No Chromium; set CHROMIUM to one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        rows, version = measure(browser, options.rounds), browser.version
        browser.close()
    page = text(rows, version, options.rounds)
    print(page)
    Path(options.write).write_text(page, "utf-8")
    return int(any(found[0] > BUDGET_MS or weight > BUDGET_BYTES for _, found, weight in rows))


if __name__ == "__main__":
    raise SystemExit(main())
