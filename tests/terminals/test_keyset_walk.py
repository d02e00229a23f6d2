"""Real terminals follow real keysets: dark for five rotations, through a new root, and past a stolen key."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client as Browser
from django.utils import timezone

from terminals import commands, delivery, jose
from terminals.keys import issuer, keyfiles, revocation, roots
from terminals.life import pairing_codes
from terminals.models import Command, Terminal, TerminalStatus
from terminals.protocol import PATH, TYP_COMMAND, UNLOCK
from terminals.simulator.transport import Answer, Connection, _Raw, _understood
from tests.cast import make_terminal
from tests.terminals.keys import standing
from tests.terminals.machines import Machine

pytestmark = pytest.mark.django_db
YEAR = timedelta(days=365)


class Direct(Connection):
    """A line into this process; what waits for the terminal is read from the rows."""

    def __init__(self) -> None:
        super().__init__()
        self.browser = Browser()
        self.asked: list[str] = []

    def exchange(
        self,
        origin: str,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        wait: float = 0,
        repeatable: bool = True,
    ) -> Answer:
        """One request and its answer."""
        self.asked.append(path)
        if path.startswith("commands"):
            terminal = Terminal.objects.get()
            tokens = [item.token for item in delivery.waiting_for(terminal.pk)]
            return Answer(200, {}, {"tokens": tokens, "more": False})
        given = dict(headers or {})
        content = given.pop("Content-Type", "application/json")
        answer: Any = self.browser.generic(
            method, f"{PATH}/{path}", body or b"", content_type=content, headers=given
        )
        told = {name.lower(): value for name, value in answer.items()}
        return _understood(_Raw(answer.status_code, told, answer.content, time.time(), time.time()))


class Shop:
    """A server whose calendar can be set, and one terminal."""

    def __init__(self, folder: Path, machine: Machine, at: Callable[[timedelta], None]) -> None:
        self.folder = folder
        self.machine = machine
        self.at = at
        self.line = Direct()

    def pair(self) -> None:
        """Register the machine, from its box."""
        self.machine.set_up()
        code = pairing_codes.create_pairing_code(make_terminal(), "user:1").qr_text
        self.machine.client.line = self.machine.client.caller.line = self.line
        self.machine.client.enroll(configured.REKEY_ORIGIN, code)

    def publish(self, *, root: dict[str, str] | None = None, **more: Any) -> None:
        """Draft a keyset and have the root sign it."""
        signer = root or keyfiles.load(self.folder / keyfiles.ROOT_FILE)
        issuer.publish(roots.sign(issuer.draft(self.folder, **more).claims, signer))

    def unlock(self) -> Command:
        """A command that is on its way."""
        found = Terminal.objects.get()
        command = commands.issue(found, UNLOCK, operator_number="03", requested_by="user:1")
        assert delivery.deliver(command.pk)
        return Command.objects.get(pk=command.pk)

    def after_a_round(self, command: Command) -> tuple[str, str]:
        """What became of it."""
        self.machine.client.step()
        command.refresh_from_db()
        return command.state, command.reason

    @property
    def version(self) -> int:
        """The keyset that the machine follows."""
        return int(self.machine.state.keyset["ver"])


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Sets the calendar of the server: so long from now, or before."""
    real = timezone.now
    shifts = [timedelta()]
    monkeypatch.setattr(timezone, "now", lambda: real() + shifts[-1])
    return shifts.append


@pytest.fixture
def opened(tmp_path: Path, settings: Any, db: None, at: Callable[[timedelta], None]) -> Shop:
    """Opened two days ago."""
    return opened_before(timedelta(days=2), tmp_path, settings, at)


@pytest.fixture
def old_shop(tmp_path: Path, settings: Any, db: None, at: Callable[[timedelta], None]) -> Shop:
    """Opened six years ago."""
    return opened_before(6 * YEAR, tmp_path, settings, at)


def opened_before(ago: timedelta, folder: Path, settings: Any, at: Callable[[timedelta], None]) -> Shop:
    """A shop whose first keyset and whose terminal are so old."""
    settings.REKEY_ISSUER_KEY_FILE = str(folder / "issuer")
    at(-ago)
    issuer.init_keys(folder / "issuer")
    shop = Shop(folder / "issuer", Machine(folder / "till"), at)
    shop.pair()
    return shop


def test_a_terminal_dark_for_five_rotations_catches_up_step_by_step(old_shop: Shop) -> None:
    for year in (5, 4, 3, 2, 1):
        old_shop.at(-year * YEAR)
        old_shop.publish(rotate=True)
    old_shop.at(timedelta())
    assert old_shop.version == 1
    # It has not called since, so it is served by the key that most terminals know, and it knows neither.
    command = old_shop.unlock()
    known = {jose.kid16(key["jwk"]) for key in old_shop.machine.state.keyset["keys"]}
    assert jose.read(command.token, TYP_COMMAND).kid not in known
    assert old_shop.after_a_round(command) == ("applied", "")
    walked = [path for path in old_shop.line.asked if path.startswith("keysets/")]
    assert walked == [f"keysets/{version}" for version in (2, 3, 4, 5, 6, 7)]
    assert old_shop.version == 6


def test_it_walks_through_a_new_root_as_well(old_shop: Shop) -> None:
    old, new = keyfiles.load(old_shop.folder / keyfiles.ROOT_FILE), jose.generate_key(jose.SIGN)
    old_shop.at(-5 * YEAR)
    old_shop.publish(new_roots=[old, new])
    old_shop.at(-4 * YEAR)
    old_shop.publish(root=new, new_roots=[new])
    for year in (3, 2, 1):
        old_shop.at(-year * YEAR)
        old_shop.publish(root=new, rotate=True)
    old_shop.at(timedelta())
    assert old_shop.after_a_round(old_shop.unlock()) == ("applied", "")
    assert old_shop.machine.state.roots == [jose.public_jwk(new)] and old_shop.version == 6


def test_a_keyset_of_the_dropped_root_stops_the_walk(old_shop: Shop) -> None:
    old, new = keyfiles.load(old_shop.folder / keyfiles.ROOT_FILE), jose.generate_key(jose.SIGN)
    old_shop.publish(new_roots=[old, new])
    old_shop.publish(root=new, new_roots=[new])
    claims = issuer.draft(old_shop.folder, new_roots=[old]).claims
    issuer.Keyset.objects.create(
        version=4, token=roots.sign(claims, old), root_thumbprint=jose.thumbprint(old)
    )
    old_shop.machine.client.walk_keysets()
    assert old_shop.version == 3 and old_shop.machine.state.roots == [jose.public_jwk(new)]


def test_a_terminal_that_follows_is_served_by_the_new_key_without_a_flag_day(opened: Shop) -> None:
    opened.at(-timedelta(days=1))
    opened.publish(rotate=True)
    opened.at(timedelta())
    TerminalStatus.objects.update_or_create(terminal=Terminal.objects.get(), defaults={"keyset_version": 1})
    command = opened.unlock()
    known = {jose.kid16(key["jwk"]) for key in opened.machine.state.keyset["keys"]}
    assert jose.read(command.token, TYP_COMMAND).kid in known, "it was published ahead"
    assert opened.after_a_round(command) == ("applied", "")


def test_in_an_emergency_the_command_under_way_is_signed_anew_and_the_old_token_refused(opened: Shop) -> None:
    opened.at(-timedelta(days=1))
    stolen = standing("current")
    command = opened.unlock()
    old_token = command.token
    assert revocation.revoke(stolen.kid) == 1
    opened.publish()
    assert delivery.deliver(command.pk)
    opened.at(timedelta())
    assert opened.after_a_round(command) == ("applied", "")
    handled = opened.machine.till.receive(old_token)
    assert (handled.st, handled.rc) == ("rejected", "key_revoked")


def test_a_thief_of_the_signing_key_gets_nothing_done_once_the_terminal_has_looked(opened: Shop) -> None:
    opened.at(timedelta())
    stolen = standing("current")
    loot = keyfiles.load(opened.folder / stolen.file)
    real = jose._strict(jose.unb64u(opened.unlock().token.split(".")[1]))
    forged = jose.sign(
        {**real, "jti": "tok_" + "F" * 16, "cid": "cmd_" + "F" * 16, "seq": 9}, TYP_COMMAND, loot
    )
    revocation.revoke(stolen.kid)
    opened.publish()
    opened.machine.client.walk_keysets()
    assert opened.machine.till.receive(forged).rc == "key_revoked"
