"""Any history of one terminal ends in one truth: the rows say what the machine did, and nothing hangs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from terminals import commands, delivery, inbox, receipts
from terminals.models import Command, Terminal, TerminalAlert
from terminals.protocol import OPEN, SOFT_FINAL, VOID
from tests.cast import PairedTill, payload
from tests.terminals.work import fresh, reset

State = Command.State
pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Machine:
    """The rules of the protocol for a terminal, without its cryptography: it keeps, does and reports."""

    till: PairedTill
    hwm: int = 0
    busy: bool = False
    held: list[str] = field(default_factory=list)
    done: dict[str, tuple[str, str]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    spent: list[int] = field(default_factory=list)
    outbox: list[str] = field(default_factory=list)
    expired: set[str] = field(default_factory=set)

    def meet(self, token: str) -> None:
        """Judge a token and write down what to report."""
        claims = payload(token)
        if claims["jti"] in self.done:
            self.outbox.append(self.done[claims["jti"]][1])
        elif claims["cid"] in self.expired:
            self._finish(token, claims, "rejected", rc="expired")
        elif claims["seq"] <= self.hwm:
            self.outbox.append(self._receipt(token, "rejected", rc="seq_replayed"))
        elif claims["cmd"] == VOID:
            known = [receipt for cid, receipt in self.done.values() if cid == claims["args"]["ref"]]
            self.outbox += known
            self._finish(token, claims, "applied")
        elif self.busy:
            self.outbox.append(self._receipt(token, "deferred", rc="busy", retry=60))
        else:
            self.order.append(claims["cid"])
            self._finish(token, claims, "applied")

    def _finish(self, token: str, claims: dict[str, Any], st: str, **more: Any) -> None:
        self.hwm = max(self.hwm, claims["seq"])
        self.spent.append(claims["seq"])
        self.outbox.append(self._receipt(token, st, **more))
        self.done[claims["jti"]] = (claims["cid"], self.outbox[-1])

    def _receipt(self, token: str, st: str, **more: Any) -> str:
        return self.till.receipt(token, st, hwm=self.hwm, **more)


@dataclass
class World:
    """The server's side and the machine, and what may happen between them."""

    machine: Machine
    issued: list[Command] = field(default_factory=list)

    def issue(self) -> None:
        """Somebody resets a password, of each operator in turn."""
        if len(self.issued) < MOST:
            operator = OPERATORS[len(self.issued) % len(OPERATORS)]
            self.issued.append(reset(self.machine.till, operator))

    def withdraw(self) -> None:
        """Somebody withdraws the newest reset that the terminal holds, or else the newest."""
        newest = Command.objects.exclude(kind=VOID).order_by("-created_at")
        command = newest.filter(state=State.FETCHED).first() or newest.first()
        if command is not None:
            commands.cancel(command.pk, "user:1")

    def deliver(self) -> None:
        """The sweeper comes round; what was deferred is due."""
        Command.objects.filter(retry_at__isnull=False).update(retry_at=timezone.now())
        Command.objects.update(claimed_until=None)
        delivery.sweep()

    def fetch(self, *, noted: bool = True) -> None:
        """The terminal is handed what waits, and keeps it."""
        items = inbox.read(self.machine.till.terminal.pk).items
        self.machine.held += [item.token for item in items]
        if noted:
            commands.mark_fetched([item.jti for item in items], timezone.now())

    def fetch_unnoted(self) -> None:
        """The same, and the poll process dies before it has noted it."""
        self.fetch(noted=False)

    def lose(self) -> None:
        """What it was handed never arrived, or the power failed before it was looked at."""
        self.machine.held = []

    def act(self) -> None:
        """The terminal goes through what it holds."""
        held, self.machine.held = self.machine.held, []
        for token in held:
            self.machine.meet(token)

    def keep(self) -> None:
        """Copies of what it holds come again later."""
        self.machine.held += self.machine.held[:2]

    def report(self, *, heard: bool = True) -> None:
        """The outbox is sent; unless the answer is heard, it is sent once more later."""
        for start in range(0, len(self.machine.outbox), 8):
            receipts.accept(self.machine.till.terminal, self.machine.outbox[start : start + 8])
        if heard:
            self.machine.outbox = []

    def report_unheard(self) -> None:
        """The same, and the answer is lost."""
        self.report(heard=False)

    def turn_busy(self) -> None:
        """A sale begins, or ends."""
        self.machine.busy = not self.machine.busy

    def run_out(self) -> None:
        """Everything open has run out, on both sides' clocks."""
        past = timezone.now() - timedelta(seconds=121)
        now_over = Command.objects.filter(state__in=OPEN)
        self.machine.expired |= set(now_over.values_list("pk", flat=True))
        now_over.update(expires_at=past)
        commands.expire_due(timezone.now())

    def settle(self) -> None:
        """Peace: no sale, no loss, and as many rounds as it takes."""
        self.machine.busy = False
        for _ in range(4):
            self.deliver()
            self.fetch()
            self.act()
            self.report()


OPERATORS = ("01", "03", "05")
MOST = 9
STEPS = (
    "issue", "issue", "issue", "withdraw", "withdraw", "deliver", "deliver", "deliver", "fetch", "fetch",
    "fetch", "fetch_unnoted", "lose", "lose", "act", "act", "keep", "report",
    "report_unheard", "turn_busy", "run_out",
)  # fmt: skip


@given(steps=st.lists(st.sampled_from(STEPS), min_size=24, max_size=40))
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_rows_and_the_machine_agree_in_the_end(till: PairedTill, steps: list[str]) -> None:
    agree(lived(till, steps))


def lived(till: PairedTill, steps: list[str]) -> World:
    """A history from its beginning, and then peace."""
    forget_everything()
    world = World(Machine(till))
    for step in steps:
        getattr(world, step)()
    world.settle()
    return world


def agree(world: World) -> None:
    """What must be true after every history."""
    machine = world.machine
    for command in world.issued:
        row = fresh(command)
        assert row.state not in OPEN, (row.state, row.reason)
        assert (row.state == State.APPLIED) == (command.pk in machine.order), row.state
        assert not row.late or row.events.filter(to_state__in=SOFT_FINAL).exists()
        assert (row.token, row.sealed) == ("", "")
    assert len(set(machine.order)) == len(machine.order)
    for operator in OPERATORS:
        rows = [command.pk for command in world.issued if command.operator_number == operator]
        done = [cid for cid in machine.order if cid in rows]
        assert done == sorted(done, key=rows.index), "an older password replaced a newer one"
    assert machine.spent == sorted(set(machine.spent))
    assert not Command.objects.filter(state__in=OPEN).exists()
    assert not inbox.read(machine.till.terminal.pk).items
    assert not TerminalAlert.objects.exists(), "a false alarm"


def forget_everything() -> None:
    """As it was before: the next history starts with the same terminal."""
    TerminalAlert.objects.all().delete()
    Command.objects.all().delete()
    Terminal.objects.update(last_seq=0)
    inbox.client().flushall()


HISTORIES = {
    "issue deliver fetch act report": (State.APPLIED, False),
    "issue withdraw": (State.CANCELLED, False),
    "issue deliver fetch lose withdraw": (State.CANCELLED, False),
    "issue deliver fetch withdraw lose": (State.CANCELLED, False),
    "issue deliver fetch_unnoted withdraw": (State.APPLIED, True),
    "issue deliver fetch act withdraw": (State.APPLIED, False),
    "issue deliver fetch withdraw deliver fetch act report": (State.APPLIED, False),
    "issue deliver fetch act issue issue issue report": (State.APPLIED, True),
    "issue issue issue issue": (State.SUPERSEDED, False),
    "issue deliver fetch lose run_out": (State.EXPIRED, False),
    "issue deliver fetch act run_out report": (State.APPLIED, True),
    "issue deliver fetch lose withdraw run_out": (State.EXPIRED, False),
    # Deferred, and overtaken by another operator's reset meanwhile: signed again, and nobody is alarmed.
    "turn_busy issue deliver fetch act report turn_busy issue deliver fetch lose deliver fetch act report": (
        State.APPLIED,
        False,
    ),
    "issue deliver fetch turn_busy act report turn_busy issue issue deliver keep act": (State.APPLIED, False),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_a_history_ends_as_it_should(till: PairedTill, history: str) -> None:
    world = lived(till, history.split())
    agree(world)
    row = fresh(world.issued[0])
    assert (row.state, row.late) == HISTORIES[history]


def test_a_deferred_command_that_was_overtaken_is_signed_again_without_an_alarm(till: PairedTill) -> None:
    world = World(Machine(till))
    steps = "issue turn_busy deliver fetch act report turn_busy issue"
    for step in steps.split():
        getattr(world, step)()
    assert delivery.deliver(world.issued[1].pk)
    for step in ("fetch", "act", "report"):
        getattr(world, step)()
    world.settle()
    agree(world)
    assert (fresh(world.issued[0]).attempt, fresh(world.issued[0]).state) == (2, State.APPLIED)
