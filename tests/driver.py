"""A browser without JavaScript that walks the recovery journey over real HTTP by reading the pages' forms."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx

SIX_DIGITS = re.compile(r"(?<![0-9])[0-9]{6}(?![0-9])")


@dataclass
class Form:
    """One form of a page: where it goes, and the fields that are filled in already."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)


class Forms(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A form begins, or a field of it."""
        had = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(had.get("action", ""), had.get("method", "get").lower()))
            self._open = True
        elif self._open and tag in ("input", "textarea", "select") and had.get("name"):
            self._field(self.found[-1], had)

    def handle_endtag(self, tag: str) -> None:
        """A form ends."""
        self._open = self._open and tag != "form"

    def _field(self, form: Form, had: dict[str, str]) -> None:
        name, kind = had["name"], had.get("type", "text")
        form.names.append(name)
        if kind in ("radio", "checkbox"):
            form.choices.setdefault(name, []).append(had.get("value", "on"))
            if "checked" not in dict.fromkeys(had):
                return
        form.fields[name] = had.get("value", "")


class Stuck(AssertionError):
    """The journey did not go on as it should; the text says where."""


class Driver:
    """One browser: cookies, the page it looks at, and how to fill its forms."""

    def __init__(
        self, origin: str, *, address: str = "", sms: Path | None = None, limit_s: float = 15
    ) -> None:
        headers = {"Accept-Language": "en"} | ({"X-Forwarded-For": address} if address else {})
        # A new connection for each request: hundreds of browsers may be open at once. There is no TLS here.
        self.client = httpx.Client(
            base_url=origin,
            headers=headers,
            timeout=limit_s,
            verify=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self.sms = sms
        self.page: httpx.Response
        self.took: list[tuple[str, float, int]] = []
        self.urls: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    # ── any page ────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, timed, without following where it leads."""
        began = time.monotonic()
        answer = self.client.request(method, path, **options)
        name = f"{method} {urlsplit(str(answer.request.url)).path}"
        self.urls += [str(answer.request.url), answer.headers.get("location", "")]
        self.took.append((name, time.monotonic() - began, answer.status_code))
        return answer

    def go(self, path: str) -> httpx.Response:
        """Look at a page, and where it leads."""
        return self._arrive(self.send("GET", path))

    def _arrive(self, answer: httpx.Response) -> httpx.Response:
        for _ in range(5):
            if not answer.is_redirect:
                break
            answer = self.send("GET", urljoin(str(answer.request.url), answer.headers["location"]))
        self.page = answer
        return answer

    @property
    def path(self) -> str:
        """Where the browser is."""
        return urlsplit(str(self.page.request.url)).path

    def form(self, name: str) -> Form:
        """The form of the page that has a field of this name, or goes to this address."""
        for one in Forms(self.page.text).found:
            if name in one.names or one.action == name:
                return one
        raise Stuck(f"no form for {name} on {self.path} ({self.page.status_code})")

    def submit(self, name: str, **typed: str) -> httpx.Response:
        """Fill in the form that has a field of this name, and send it."""
        form = self.form(name)
        target = urljoin(str(self.page.request.url), form.action or self.path)
        return self._arrive(self.send("POST", target, data={**form.fields, **typed}))

    def at(self, *paths: str) -> None:
        """Raise Stuck unless the browser is on one of these pages."""
        if self.page.status_code >= 400 or self.path not in paths:
            raise Stuck(f"on {self.path} ({self.page.status_code}), not on {' or '.join(paths)}")

    # ── the journey ─────────────────────────────────────────────────────────────────────────────────────────

    def identify(self, shop: str, phone: str) -> None:
        """Say which shop and which phone."""
        self.go("/")
        self.submit("shop", shop=shop, phone=phone)
        self.at("/code")

    def codes(self, phone: str) -> list[str]:
        """Every code that was texted to this phone so far, oldest first."""
        if self.sms is None or not self.sms.exists():
            return []
        lines = [line for line in self.sms.read_text("utf-8").splitlines() if phone in line]
        found = (SIX_DIGITS.search(line.split(phone, 1)[1]) for line in lines)
        return [match[0] for match in found if match]

    def await_code(self, phone: str, seen: int, patience: float = 120) -> str:
        """The next code after `seen` ones, asked for again as a person would; empty when none comes."""
        deadline = time.monotonic() + patience
        ask_again = time.monotonic() + 61
        while len(codes := self.codes(phone)) <= seen:
            if time.monotonic() > deadline:
                return ""
            if time.monotonic() > ask_again:
                self.go("/code")
                self.submit("/code/resend")
                ask_again = time.monotonic() + 61
            time.sleep(0.1)
        return codes[-1]

    def type_code(self, code: str) -> None:
        """Type the code back."""
        self.go("/code")
        self.submit("code", code=code)

    def choose(self, operator: str) -> None:
        """Say whose password."""
        self.at("/operator")
        self.submit("operator", operator=operator)
        self.at("/password")

    def set_password(self, password: str) -> None:
        """Type the new password twice."""
        self.submit("new_password", new_password=password, again=password)
        self.at("/status")

    @property
    def phase(self) -> str:
        """What the status page says now."""
        self.go("/status/fragment")
        found = re.search(r'data-phase="([a-z_]+)"', self.page.text)
        return found[1] if found else f"{self.path} {self.page.status_code}"
