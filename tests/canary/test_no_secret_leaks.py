"""A whole journey and every error path at LOG_LEVEL=DEBUG; afterwards no secret is found anywhere."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from django_otp.oath import totp

from terminals import pairing
from terminals.protocol import APPLIED, PATH
from terminals.simulator.calling import identity_of
from terminals.simulator.client import Client
from terminals.simulator.state import Profile
from terminals.simulator.store import Store
from terminals.simulator.till import Till
from terminals.simulator.transport import Clock, Problem
from tests import stack
from tests.canary.sinks import Overheard, Search, files, rows, values
from tests.driver import Driver
from tests.faults import test_redis_and_worker_loss as loss
from tests.faults.tills import CHEAP

GOOD = "Kanari-7/+Vogel"
JOINED = "Kanari-4/+Vogel"
TYPED = {
    "a password the two of which differ": "Kanari-8/+Vogel",
    "a password against the rules": "Kanari-9/+Vogel" + "x" * 20,
    "a sign-in password": "Kanari-5/+Vogel",
    "a password that is easy to guess": "kanarikanari",
    "a wrong code": "730941",
    "another wrong code": "581026",
}
PAGES_MISSING = ("/no/such/page", "/start/trm_AAAAAAAAAAAAAAAA", "/admin/portal/merchant/", "/code/resend")


@pytest.mark.live
@pytest.mark.slow
def test_no_secret_is_found_after_the_journey_and_every_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(stack.DATABASE, raising=False)  # a file can be searched byte by byte
    var = tmp_path / "var"
    extra = {"LOG_LEVEL": "DEBUG", "REKEY_TRUSTED_PROXIES": "1", "REKEY_LIMITS": loss.LIMITS}
    with stack.running(var, **extra) as server, Overheard(server.redis()) as overheard:
        shops: list[dict[str, Any]] = server.office("shops", count=2, operators=3)
        server.office("full_keyboard")
        with running_till(server, shops[0]):
            journey, secrets = walk(server, shops[0])
            secrets |= sign_in(server, shops[0])
            secrets |= join(server, shops[0])
        secrets |= terminal_errors(server, shops)
        break_things(server, shops[1])
        lying = list(values(server.redis()))
        server.children["web"].stop()
        server.children["worker"].stop()
        urls = [url.encode() for url in journey.urls]
    search = Search(secrets | TYPED)
    found = [
        *(hit for name, content in files(var / "log") for hit in search.hits(f"log {name}", [content])),
        *(hit for name, content in database_files(var) for hit in search.hits(f"file {name}", [content])),
        *search.hits("database", rows(var / "rekey.sqlite3")),
        *search.hits("Redis", lying),
        *search.hits("Redis commands and task messages", overheard.lines),
        *search.hits("URLs", urls),
    ]
    logged = sum(len(content) for _, content in files(var / "log"))
    stored = sum(len(content) for _, content in database_files(var))
    print(
        f"\n{len(search.secrets)} secrets in {logged // 1024} KiB of logs, "
        f"{stored // 1024} KiB of database, {len(overheard.lines)} Redis commands, "
        f"{len(urls)} URLs: {len(found)} hits"
    )
    # What may be seen is found in the same places: they were not empty, and they were read.
    control = Search({"merchant number": shops[0]["shop"]})
    assert control.hits("database", rows(var / "rekey.sqlite3"))
    assert b"recovery.tasks.resolve" in b"".join(overheard.lines)
    assert b"/password" in b"".join(content for _, content in files(var / "log")) and logged > 20_000
    assert not found, "\n".join(found)


def database_files(var: Path) -> Iterator[tuple[str, bytes]]:
    """The database with its log, as bytes."""
    for path in var.glob("rekey.sqlite3*"):
        yield path.name, path.read_bytes()


# ── what is done ────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def running_till(server: stack.Stack, shop: dict[str, Any]) -> Iterator[None]:
    """The till of one shop in a process of its own, with a full keyboard."""
    shop["state"], book = str(server.var / "tills" / shop["serial"]), server.var / "tills.json"
    lengths = {**Profile().lengths, "ordinary": [8, 20]}
    with Store(Path(shop["state"])).transaction() as state:
        state.profile = Profile(serial=shop["serial"], keypad="full", lengths=lengths)
    book.write_text(json.dumps([shop]))
    server.start("tills", [sys.executable, "-m", "tests.faults.tills", server.origin, str(book)])
    until(lambda: "active" in server.children["tills"].log.read_text(), server)
    yield
    server.children["tills"].stop()
    book.unlink()


def until(condition: Callable[[], bool], server: stack.Stack, within_s: float = 60) -> None:
    """Wait for it."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, server.last_words()
        time.sleep(0.2)


def walk(server: stack.Stack, shop: dict[str, Any]) -> tuple[Driver, dict[str, str]]:
    """The journey, with every mistake that a person can make on the way. Returns the secrets it met."""
    cookie = "rekey_recovery"
    browser = Driver(server.origin, address="10.1.1.1", sms=server.var / "sms.log", limit_s=30)
    browser.identify(shop["shop"], shop["phone"])
    first = browser.client.cookies[cookie]
    code = browser.await_code(shop["phone"], 0)
    for wrong in (TYPED["a wrong code"], TYPED["another wrong code"], "12 34"):
        browser.submit("code", code=wrong)
    browser.type_code(code)
    second = browser.client.cookies[cookie]
    browser.submit("operator", operator="00")
    browser.go("/operator")
    browser.choose("02")
    differ, against = TYPED["a password the two of which differ"], TYPED["a password against the rules"]
    browser.submit("new_password", new_password=GOOD, again=differ)
    browser.submit("new_password", new_password=against, again=against)
    browser.set_password(GOOD)
    until(lambda: browser.phase == APPLIED, server)
    return browser, {
        "the code": code,
        "the password": GOOD,
        "the phone": shop["phone"].removeprefix("+86"),
        "the cookie before the proof": first,
        "the cookie after the proof": second,
    }


def sign_in(server: stack.Stack, shop: dict[str, Any]) -> dict[str, str]:
    """The owner signs in after one wrong password and one wrong code."""
    owner = server.office("owner", number=shop["shop"])
    browser = Driver(server.origin, address="10.1.2.1", sms=server.var / "sms.log", limit_s=30)
    browser.go("/sign-in")
    browser.submit("password", username=owner["username"], password=TYPED["a sign-in password"])
    seen = len(browser.codes(shop["phone"]))
    browser.submit("password", **owner)
    pending = browser.client.cookies["rekey_session"]
    code = browser.await_code(shop["phone"], seen)
    browser.submit("code", code=TYPED["a wrong code"])
    browser.submit("code", code=code)
    browser.at("/account/secure")
    browser.go("/account/app/new")
    seed = "".join(re.findall(r"\b[A-Z2-7]{4}\b", browser.page.text))
    browser.submit("code", code=f"{totp(base64.b32decode(seed)):06}")
    browser.at("/account")
    session = browser.client.cookies["rekey_session"]
    return {
        "the sign-in code": code,
        "the authenticator's seed": seed,
        "the owner's password": owner["password"],
        "the session before the code": pending,
        "the session": session,
    }


def join(server: stack.Stack, shop: dict[str, Any]) -> dict[str, str]:
    """Somebody who was invited opens an account, after a password that was too easy."""
    invitation = server.office("invitation", number=shop["shop"])
    browser = Driver(server.origin, address="10.1.3.1", sms=server.var / "sms.log", limit_s=30)
    browser.go("/join")
    seen = len(browser.codes(shop["phone"]))
    browser.submit("code", code=invitation)
    code = browser.await_code(shop["phone"], seen)
    browser.submit("code", code=code)
    browser.at("/join/account")
    for password in (TYPED["a password that is easy to guess"], JOINED):
        browser.submit("new_password", username="second", new_password=password, again=password)
    browser.at("/account/secure")
    return {
        "the invitation": invitation,
        "the invitation as it is read": invitation.replace("-", ""),
        "the code of the phone": code,
        "the password of the new account": JOINED,
    }


def terminal_errors(server: stack.Stack, shops: list[dict[str, Any]]) -> dict[str, str]:
    """Bad pairing codes and bad bearers; then a good one, so that the server has seen it."""
    used, unused = (pairing.parse_qr(shop["pairing_code"]) for shop in shops)
    assert used is not None and unused is not None
    wrong = unused.code[:-1] + ("B" if unused.code[-1] != "B" else "C")
    stranger = Till(Store(server.var / "stranger"), hasher=CHEAP)
    for code in (used.code, wrong):
        with suppress(Problem):
            Client(stranger, Clock()).enroll(server.origin, code)
    till = Till(Store(Path(shops[0]["state"])), hasher=CHEAP)
    bearer = Client(till, Clock()).caller.bearer(identity_of(till.store.load()))
    for token in (bearer[:-4] + "AAAA", bearer, f"x.{bearer}"):
        headers = {"Authorization": f"Bearer {token}"}
        httpx.get(f"{server.origin}{PATH}/commands", headers=headers)
        httpx.post(f"{server.origin}{PATH}/receipts", headers=headers, json={"receipts": [bearer]})
    return {
        "the bearer": bearer,
        "the end of the bearer": bearer.rsplit(".", 1)[1],
        "a used pairing code": used.code,
        "a living pairing code": unused.code,
        "a living pairing code without hyphens": unused.code.replace("-", ""),
        "a wrong pairing code": wrong,
    }


def break_things(server: stack.Stack, shop: dict[str, Any]) -> None:
    """Pages that do not exist, forms without a token, a provider that fails, a table that is gone."""
    browser = Driver(server.origin, address="10.1.3.1", sms=server.var / "sms.log", limit_s=30)
    for path in PAGES_MISSING:
        browser.go(path)
    browser.send("POST", "/", data={"shop": shop["shop"], "phone": shop["phone"]})
    log, kept = server.var / "sms.log", server.var / "sms.kept"
    log.rename(kept)
    log.mkdir()
    browser.identify(shop["shop"], shop["phone"])
    until(lambda: "IsADirectoryError" in server.children["worker"].log.read_text(), server)
    browser.go("/code")
    server.office("rename", table="portal_challenge", to="gone")
    broken = [
        browser.send("GET", "/code"),
        browser.send("POST", "/code", data={"code": TYPED["a wrong code"]}),
    ]
    server.office("rename", table="gone", to="portal_challenge")
    assert broken[0].status_code == 500
