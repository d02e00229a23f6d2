"""Somebody with a browser: looks at every page closely, fills in forms, reads texts, goes to the till."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page
from playwright.sync_api import TimeoutError as TooLate

from terminals.policy import Context, PasswordPolicy, violations
from tests.driver import SIX_DIGITS
from tests.stack import ROOT, Stack

PICTURES = ROOT / "docs" / "img"
NARROW = 320
HEAVY = 150_000
WEIGHT = """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .reduce((sum, one) => sum + one.encodedBodySize + 300, 0)"""
SPOKEN = re.compile(r"(?<![0-9])(?:[0-9](?:，|, )){5}[0-9](?![0-9])")
PATIENCE_MS = 30_000
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def code_in(text: str) -> str:
    """The code in what a phone was sent or told, which begins with its number; "" when there is none."""
    words = text.split("+86", 1)[1][11:]
    found = SIX_DIGITS.search(words) or SPOKEN.search(words)
    return "".join(filter(str.isdigit, found[0])) if found else ""


@dataclass
class World:
    """The installation, and what the demo told about its people."""

    stack: Stack
    facts: dict[str, Any]

    @property
    def till(self) -> Path:
        """The till's memory."""
        return self.stack.var / "till"

    def texts(self) -> list[str]:
        """Every text message so far."""
        sms = self.stack.var / "sms.log"
        return sms.read_text("utf-8").splitlines() if sms.exists() else []

    def mails(self, mailbox: str) -> list[str]:
        """The words of every mail to this box, oldest first."""
        found = []
        for path in sorted((self.stack.var / "mail").glob("*"), key=lambda path: path.stat().st_mtime_ns):
            mail = message_from_bytes(path.read_bytes().split(b"\n-----", 1)[0], policy=default)
            if mail["To"] == mailbox:
                found.append(str(mail.get_content()))
        return found

    def mailed_code(self, mailbox: str, before: int) -> str:
        """Wait for a mail with a code to this box, after so many others, and read the code."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not (found := [*filter(None, map(SIX_DIGITS.search, self.mails(mailbox)[before:]))]):
            assert time.monotonic() < deadline, self.stack.last_words()
            time.sleep(0.1)
        return found[-1][0]

    def sign_on(self, number: str, password: str) -> bool:
        """Whether the till lets this operator in."""
        return self._stand_at_till("signon", number, "-", typed=password).returncode == 0

    def at_till(self, verb: str, *given: str) -> str:
        """Do something at the till, which has to work; what it says."""
        done = self._stand_at_till(verb, *given)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def wait_until_paired(self) -> None:
        """Wait until the till has its keys."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while "未配对" in self._stand_at_till("screen").stdout:
            assert time.monotonic() < deadline, self.stack.last_words()
            time.sleep(0.2)

    def screen_shows(self, pattern: str) -> re.Match[str]:
        """Wait until the till's screen shows this."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while (found := re.search(pattern, shown := self.at_till("screen"))) is None:
            assert time.monotonic() < deadline, shown
            time.sleep(0.2)
        return found

    def read_at_till(self, pattern: str, verb: str, *given: str) -> re.Match[str]:
        """Do something at the till and read this from what it says at once."""
        found = re.search(pattern, said := self.at_till(verb, *given))
        assert found is not None, said
        return found

    def _stand_at_till(self, verb: str, *given: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "terminals.simulator", verb, "--state", str(self.till), *given]
        done = subprocess.run(command, input=typed, text=True, cwd=ROOT, check=False, capture_output=True)
        assert done.returncode in (0, 1), done.stderr
        return done

    def new_password(self, least: int = 4) -> str:
        """A password that the rules of the demo's till allow."""
        policy, merchant, terminal = (
            PasswordPolicy("digits", least, 6),
            self.facts["merchant"],
            self.facts["terminal"],
        )
        known = Context(merchant["number"], terminal["number"], terminal["serial"], merchant["phone"][3:])
        while violations(made := f"{secrets.randbelow(10**6):06}", policy, known):
            pass
        return made


class Walker:
    """One browser window in one language."""

    def __init__(
        self,
        world: World,
        browser: Browser,
        language: str,
        size: tuple[int, int],
        *,
        scripts: bool = True,
        named: bool = False,
    ) -> None:
        self.world = world
        # Passkeys are kept for a name, not for an address.
        self.origin = world.stack.origin.replace("127.0.0.1", "localhost") if named else world.stack.origin
        self.language, self.size, self.scripts = language, size, scripts
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            locale={"zh": "zh-CN", "en": "en-GB"}[language],
            java_script_enabled=scripts,
            # What still fades in is judged, and pictured, as it will stand.
            reduced_motion="reduce",
            base_url=self.origin,
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self.context.new_page()
        self.troubles: list[str] = []
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.troubles.append(f"{self.page.url}: {error}"))

    def _listen(self, message: ConsoleMessage) -> None:
        # A page that is answered with 4xx on purpose is told in the console as well; what has no address was
        # done by axe, which some admin pages do not allow to style what it measures.
        ours = message.location["url"] != ""
        if message.type == "error" and ours and "Failed to load resource" not in message.text:
            place = f"{message.location['url']}:{message.location['lineNumber']}"
            self.troubles.append(f"{self.page.url}: {message.text} ({place})")

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────

    def look(self, name: str) -> None:
        """Judge the page in front: its language, its width at 320 px, its accessibility; take its picture."""
        wanted = {"zh": "zh-hans", "en": "en"}[self.language]
        assert str(self.page.locator("html").get_attribute("lang")).lower() == wanted, name
        assert self.page.locator("h1").count() == 1, name
        if self.scripts:
            self._is_accessible(name)
            self._is_light(name)
            self._fits(name)
        if os.environ.get("REKEY_SCREENSHOTS") == "1" and self.scripts:
            PICTURES.mkdir(parents=True, exist_ok=True)
            path = PICTURES / f"{name}-{self.language}-{self.size[0]}.png"
            self.page.screenshot(path=path, full_page=True)

    def _is_accessible(self, name: str) -> None:
        found = Axe().run(self.page, options=AXE)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"

    def _is_light(self, name: str) -> None:
        """What a first load brings, compressed, whether or not it came from the cache this time."""
        weight = self.page.evaluate(WEIGHT)
        assert "/admin/" in self.page.url or 0 < weight <= HEAVY, f"{name} weighs {weight} bytes"

    def _fits(self, name: str) -> None:
        width, height = self.size
        self.page.set_viewport_size({"width": NARROW, "height": height})
        scroll = self.page.evaluate("document.documentElement.scrollWidth")
        self.page.set_viewport_size({"width": width, "height": height})
        assert scroll <= NARROW, f"{name} is {scroll} px wide"

    def at(self, path: str) -> None:
        """Wait until the browser is on this page; whoever stays where they are reads why on the page."""
        try:
            self.page.wait_for_url(re.compile(re.escape(self.origin + path) + r"(\?.*)?$"))
        except TooLate as late:
            said = self.page.locator("main").inner_text()
            raise AssertionError(f"{path} does not come; {self.page.url} says: {said}") from late

    # ── doing ───────────────────────────────────────────────────────────────────────────────────────────────

    def go(self, path: str, status: int = 200) -> None:
        """Look at an address, which answers with this status."""
        answer = self.page.goto(path)
        assert answer is not None and answer.status == status, f"{path}: {answer and answer.status}"

    def send(self, name: str, /, **typed: str) -> None:
        """Fill in the form that has the field `name`, and press its key."""
        form = self.page.locator(f'main form:has([name="{name}"])').first
        for field, value in typed.items():
            box = form.locator(f'[name="{field}"]')
            if box.first.get_attribute("type") == "radio":
                form.locator(f'[name="{field}"][value="{value}"]').check()
            else:
                box.fill(value)
        form.locator("button.key").click()

    def press(self, action: str) -> None:
        """Press the button of the form that goes to this address."""
        self.page.locator(f'form[action="{action}"] button').click()

    # ── the journey ─────────────────────────────────────────────────────────────────────────────────────────

    def identify(self) -> int:
        """Say which shop and which phone; how many texts there were before."""
        before = len(self.world.texts())
        self.go("/")
        self.send(
            "shop", shop=self.world.facts["merchant"]["number"], phone=self.world.facts["merchant"]["phone"]
        )
        self.at("/code")
        return before

    def code_after(self, before: int) -> str:
        """Wait for the next text with a code and read it; notices may come in between."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not (codes := [code for text in self.world.texts()[before:] if (code := code_in(text))]):
            assert time.monotonic() < deadline, self.world.stack.last_words()
            time.sleep(0.1)
        return codes[-1]

    def prove(self) -> None:
        """Identify, and type the code from the text."""
        code = self.code_after(self.identify())
        self.send("code", code=code)
        self.at("/operator")

    def wait_until_reported(self) -> None:
        """Look at the offline page again until the till's receipt is on it."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while self.page.locator("main time").count() < 2:
            assert time.monotonic() < deadline, self.world.stack.last_words()
            time.sleep(0.5)
            self.go("/offline")

    def wait_for(self, phase: str) -> None:
        """Stay on the status page until it says so; without scripts it loads itself again."""
        self.page.wait_for_selector(f'[data-phase="{phase}"]', timeout=60_000)
