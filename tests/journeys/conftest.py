"""A running installation with the demo's shop and its till, and a browser to walk it with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from portal.supervisor import parts
from tests import chromium, stack
from tests.journeys.walker import Walker, World

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
# One address and one phone walk here many times a minute.
BUSY = "identify code support sign-in sms-per-phone sms-per-merchant sms-per-block sms-per-address "
BUSY += "sms-overall sign-in-sms-per-phone tickets-per-phone user-code recoveries-per-terminal "
BUSY += "offline-misses-per-terminal offline-answers-per-terminal sms-per-source sms-from-sources "
BUSY += "password-per-account password-per-account-and-address second-factor-per-account"
LIMITS = ",".join(f"{name}=10000/hour" for name in BUSY.split())
STATIC = "whitenoise.storage.CompressedManifestStaticFilesStorage"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Redis, web, worker, beat and the demo's till, paired over HTTP."""
    var: Path = tmp_path_factory.mktemp("journeys")
    with stack.running(var, REKEY_LIMITS=LIMITS, REKEY_STATICFILES=STATIC) as running:
        running.manage("loaddemo")
        serve_static_files(running)
        facts: dict[str, Any] = json.loads((var / "demo.json").read_text("utf-8"))
        yield start_till(World(running, facts))


def serve_static_files(running: stack.Stack) -> None:
    """Collect them as an installation does, and start the web anew, for it looks for them when it starts."""
    running.manage("collectstatic", "--noinput", "--verbosity", "0")
    running.children["web"].stop()
    running.start("web", parts.web("127.0.0.1", running.port), REKEY_ROLE="web")
    running.wait_ready()


def start_till(world: World) -> World:
    """Pair the till in software and leave it polling."""
    operators = world.stack.var / "till-operators"
    lines = [f"{one['number']}={one['password']}:{one['name']}" for one in world.facts["operators"]]
    operators.write_text("\n".join(lines), "utf-8")
    terminal = world.facts["terminal"]
    code = world.stack.manage("pairingcode", terminal["number"], "--plain").strip()
    command = parts.simulator(world.stack.origin, world.till, terminal["serial"])
    command += ["--pairing-code", code, "--operators-file", str(operators)]
    world.stack.start("till", command)
    world.wait_until_paired()
    return world


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; without one these tests are left out, and in CI they fail."""
    path = chromium.find()
    if path is None:
        message = "no Chromium; set CHROMIUM to one"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    # Playwright's loop runs as long as it is open, and no other loop can start in this thread meanwhile.
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def walk(world: World, browser: Browser) -> Iterator[Any]:
    """Makes walkers: `walk(language, width, height, scripts=…, named=…)`; no page may have broken the CSP."""
    walkers: list[Walker] = []

    def make(language: str, width: int, height: int, *, scripts: bool = True, named: bool = False) -> Walker:
        walkers.append(Walker(world, browser, language, (width, height), scripts=scripts, named=named))
        return walkers[-1]

    yield make
    for walker in walkers:
        walker.context.close()
        assert not walker.troubles, walker.troubles
