"""The world around the doors: rows in memory, hours that somebody moves, a worker, letters counted.

A run begins with a copy of the same rows at the same hour; whatever is drawn in it comes out the same.
"""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import shake_256
from typing import Final

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from hypothesis.internal.constants_ast import Constants
from limits import RateLimitItem

from portal import celery, limits, passkeys
from portal import tasks as portal_tasks
from portal.devices import TOTPDevice
from portal.limits import Taken
from portal.messaging import carriers
from portal.messaging.gateways import Accepted, Parcel
from portal.models import Channel, Merchant, Message, User
from recovery import tasks as recovery_tasks
from terminals import commands, inbox, jose
from tests import cast
from tests.portal.authenticator import Authenticator

BEGIN: Final = 1_800_000_000
OWNER_PHONE, OTHER_PHONE = cast.FUMANLOU["phone"], cast.ANOTHER["phone"]
OFFLINE_KEY: Final = bytes(range(32))
# What nudges may ask for here; commands are not signed, for nobody polls for them.
TASKS: Final[dict[str, Callable[[str], None]]] = {
    "recovery.tasks.resolve": recovery_tasks.resolve,
    "recovery.tasks.look_into": recovery_tasks.look_into,
    "portal.tasks.send_message": portal_tasks.send_message,
}


@dataclass(frozen=True)
class Letter:
    """What a gateway was handed: to whom, what for, and the code or number in it."""

    to: str
    template: str
    code: str
    number: str
    challenge: str
    known: bool
    at: float
    mailed: bool
    # The change of an address that a notice tells of.
    change: str


@dataclass
class Post:
    """Every letter of a run, in order."""

    letters: list[Letter] = field(default_factory=list)

    def about(self, challenge: str) -> list[Letter]:
        """The letters that carried the code of one challenge."""
        return [letter for letter in self.letters if letter.challenge == challenge]


post = Post()


class Postman:
    """A gateway that takes everything, and keeps it for those who read."""

    name = "console"

    def send(self, parcel: Parcel) -> Accepted:
        """Note it. The provider's number is of no use to anybody here."""
        row = Message.objects.get(callback_key=parcel.reference)
        values = parcel.values
        post.letters.append(
            Letter(
                parcel.to,
                parcel.template,
                values.get("code", ""),
                values.get("number", ""),
                str(row.challenge_id or ""),
                row.known_source,
                time.time(),
                self.name == "file",
                str(row.facts.get("quote", "")),
            )
        )
        return Accepted(f"console-{len(post.letters)}")


class MailPostman(Postman):
    """The same for mail."""

    name = "file"


class Shields:
    """As `portal.limits.Shield`, by the clock of this world."""

    def __init__(self) -> None:
        self.windows: dict[tuple[str, str], tuple[float, int]] = {}

    def hit(self, rate: RateLimitItem, name: str, digest: str) -> Taken:
        """Count one."""
        ends, used = self._window(name, digest)
        ends = ends or time.time() + rate.get_expiry()
        self.windows[name, digest] = (ends, used + 1)
        return Taken(True, 0) if used < rate.amount else Taken(False, int(ends - time.time()) + 1)

    def stands(self, rate: RateLimitItem, name: str, digest: str) -> bool:
        """Whether one more would pass."""
        return self._window(name, digest)[1] < rate.amount

    def _window(self, name: str, digest: str) -> tuple[float, int]:
        ends, used = self.windows.get((name, digest), (0.0, 0))
        return (ends, used) if ends > time.time() else (0.0, 0)


@dataclass
class Cast:
    """Who and what there is when a run begins."""

    shop: Merchant
    other: Merchant
    owner: User
    tills: list[cast.PairedTill]
    foreign: cast.PairedTill
    app_seed: str
    app_id: int
    authenticator: Authenticator


class World:
    """One at a time; `begin` puts it back to its first hour."""

    def __init__(self) -> None:
        self._drawn = itertools.count()
        self.queue: deque[tuple[str, str]] = deque()
        self.shields = Shields()
        self.travel = time_machine.travel(BEGIN, tick=False)
        self.clock: time_machine.Traveller | None = None
        self.first: sqlite3.Connection | None = None
        self.cast: Cast | None = None

    def octets(self, number: int) -> bytes:
        """So many, other ones each time, the same in each run."""
        return shake_256(b"drawn %d" % next(self._drawn)).digest(number)

    def enqueue(self, task: str, ident: str) -> None:
        """In place of a broker: what is asked for lies there until a worker comes."""
        if task in TASKS:
            self.queue.append((task, ident))

    def work(self) -> None:
        """A worker does everything that lies there."""
        while self.queue:
            self.work_one()

    def work_one(self) -> None:
        """A worker does what lies there first."""
        task, ident = self.queue.popleft()
        TASKS[task](ident)

    def sweep(self) -> None:
        """What beat has done every two seconds, and every hour."""
        recovery_tasks.sweep()
        portal_tasks.sweep_messages()
        portal_tasks.sweep_limits()
        # Of the terminals' own sweeps, the one that ends commands: nobody polls here.
        commands.expire_due(timezone.now())

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds go by."""
        assert self.clock is not None
        self.clock.shift(seconds)

    def begin(self) -> None:
        """The first hour again."""
        assert self.first is not None and self.clock is not None
        self._drawn = itertools.count(1_000_000)
        self.clock.move_to(BEGIN, tick=False)
        self.queue.clear()
        self.shields.windows.clear()
        post.letters.clear()
        cache.clear()
        inbox.client().flushall()
        connection.ensure_connection()
        self.first.backup(connection.connection)

    def settle(self) -> Cast:
        """Put the cast in place; what they have is kept for all runs."""
        shop, other = cast.make_merchant(), cast.make_other_merchant()
        tills = [cast.pair_on_paper(cast.make_terminal(shop, name=name)) for name in ("前台", "二楼")]
        foreign = cast.pair_on_paper(cast.make_terminal(other))
        for till in (*tills, foreign):
            till.terminal.offline_key = jose.b64u(OFFLINE_KEY)
            till.terminal.save()
        owner = cast.make_owner(shop)
        app = TOTPDevice.objects.get(user=owner)
        authenticator = Authenticator()
        asked = json.loads(passkeys.registration(owner, "cast"))
        passkeys.register(owner, "cast", authenticator.make(asked), "phone")
        return Cast(shop, other, owner, tills, foreign, app.seed, app.pk, authenticator)


@contextmanager
def in_memory() -> Iterator[None]:
    """The migrated rows of the test database, copied to where they cost nothing."""
    file = connection.settings_dict["NAME"]
    connection.ensure_connection()
    empty = sqlite3.connect(":memory:")
    connection.connection.backup(empty)
    connection.close()
    connection.settings_dict["NAME"] = ":memory:"
    try:
        connection.ensure_connection()
        empty.backup(connection.connection)
        yield
    finally:
        connection.settings_dict["NAME"] = file
        connection.close()
        empty.close()


@contextmanager
def a_world(patch: pytest.MonkeyPatch) -> Iterator[World]:
    """Everything in place, until the test is over."""
    world = World()
    # What is drawn must not depend on the numbers and words that stand in the product's files.
    patch.setattr("hypothesis.internal.conjecture.providers._get_local_constants", Constants)
    patch.setattr(random, "_urandom", world.octets)
    patch.setattr(limits, "_shield", lambda url: world.shields)
    patch.setattr(celery.post, "send", world.enqueue)
    for channel, name, postman in (
        (Channel.SMS, "console", "Postman"),
        (Channel.VOICE, "console", "Postman"),
        (Channel.EMAIL, "file", "MailPostman"),
    ):
        patch.setitem(carriers.GATEWAYS[channel], name, f"{__name__}.{postman}")
    with in_memory():
        world.clock = world.travel.start()
        try:
            world.cast = world.settle()
            world.first = sqlite3.connect(":memory:")
            connection.connection.backup(world.first)
            yield world
        finally:
            world.travel.stop()
            if world.first is not None:
                world.first.close()
