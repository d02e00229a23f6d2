"""Where the rules play: one shop, its neighbour, their browsers; and how a run begins and ends."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from portal.models import AddressChange
from recovery.models import Recovery
from terminals.models import Command, RecoveryRequest
from terminals.protocol import OPEN
from tests.sittings.book import OPEN as UNFINISHED
from tests.sittings.book import Book, Shop
from tests.sittings.browsers import App, Browser
from tests.sittings.owners import NAMED, Desk, Owners
from tests.sittings.people import People
from tests.sittings.watching import Deed, Watch
from tests.sittings.world import BEGIN, OWNER_PHONE, World

# The owner at the desk and on the way, a cashier, somebody with the old phone, a stranger.
NAMES: Final = ("desk", "phone", "cashier", "thief", "stranger")
world: list[World] = []
totals: Counter[str] = Counter()


class Stage(RuleBasedStateMachine):
    """One shop with two terminals, its neighbour, and five browsers."""

    def __init__(self) -> None:
        super().__init__()
        self.world = world[-1]
        self.world.begin()
        assert self.world.cast is not None
        self.cast = self.world.cast
        self.book = Book(Shop(OWNER_PHONE, confirmed_at=float(BEGIN)))
        self.watch = Watch(self.book, self.cast.shop, [till.terminal.pk for till in self.cast.tills])
        self.watch.counted = totals
        self.people = People(self.world, self.book, App(self.cast))
        self.owners, self.desk = Owners(self.people), Desk(self.people)
        self.browsers = [
            Browser(name, f"198.51.{100 + index}.7", self.watch) for index, name in enumerate(NAMES)
        ]
        self.eager = True
        totals["runs"] += 1

    @initialize(
        eager=st.booleans(),
        paper=st.booleans(),
        named=st.booleans(),
        one_till=st.booleans(),
        old=st.booleans(),
    )
    def what_the_shop_has(self, eager: bool, paper: bool, named: bool, one_till: bool, old: bool) -> None:
        self.eager = eager
        if one_till:
            self.desk.stop_till(1)
        self.browsers[0].sign_in(self.cast)
        if paper:
            self.owners.make_paper(self.browsers[0])
        for to, holder in ((NAMED[0], "owner"), (NAMED[2], "contact")) if named else ():
            self.owners.name(self.browsers[0], to, holder)
            self.work()
            self.owners.type_code(self.browsers[0], "right")
        self.world.pass_time(91 * 86_400 if old else 61)
        self.sweep()

    def work(self) -> None:
        self.world.work()
        self.watch.look(Deed())

    def after(self) -> None:
        """When the worker is quick, it has looked by now."""
        if self.eager:
            self.work()

    def go_on_well(self, browser: Browser, steps: int, number: str, way: str) -> None:
        for _ in range(steps):
            self.work()
            self.people.go_on(browser, "right", number, way)
        self.after()

    def sweep(self) -> None:
        self.world.sweep()
        self.world.work()
        self.watch.look(Deed())

    @invariant()
    def a_step_was_taken(self) -> None:
        totals["steps"] += 1

    # --- in the end -----------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Everything open has an exit that somebody can reach, and a clock that ends it."""
        for browser in self.browsers:
            browser.where()
        for seconds in (61, 1801, 72 * 3600, 3 * 86_400):
            self.world.pass_time(seconds)
            self.sweep()
        left: dict[str, Any] = {
            "recoveries": Recovery.objects.filter(state__in=(*UNFINISHED, "dispatched")),
            "changes": AddressChange.objects.filter(state__in=("proving", "standing")),
            "screens": RecoveryRequest.objects.filter(state__in=("pending", "bound", "proved")),
            "passwords": Command.objects.filter(kind="set_credential", state__in=OPEN),
        }
        still = {
            name: list(rows.values_list("state", flat=True)) for name, rows in left.items() if rows.exists()
        }
        assert not still, f"no clock ends {still} at {time.time()}"
