"""The database goes back in time while a real till has gone on: it heals, nobody gets an old password."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from terminals import commands, delivery, inbox, receipts
from terminals.claims import parse_keyset
from terminals.jose import verify_self_vouched
from terminals.keys import issuer
from terminals.models import Command, CommandToken, TerminalAlert, TerminalStatus
from terminals.protocol import SET_CREDENTIAL, TYP_KEYSET
from terminals.simulator.store import Store
from terminals.simulator.till import Till
from tests.cast import PairedTill
from tests.terminals.tills import CHEAP, NAMES, PASSWORDS
from tests.terminals.work import fresh

State = Command.State
pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Counter:
    """The till of the cast with a simulator's memory: it polls and reports in this process."""

    paired: PairedTill
    machine: Till
    # jti → seq of tokens that a restore made us forget.
    numbers: dict[str, int] = field(default_factory=dict)

    def reset(self, password: str, operator: str = "03") -> Command:
        """A reset as it waits in the inbox."""
        command = commands.issue(
            self.paired.terminal,
            SET_CREDENTIAL,
            operator_number=operator,
            sealed_password=password,
            requested_by="user:1",
        )
        assert delivery.deliver(command.pk)
        return fresh(command)

    def poll(self) -> None:
        """Fetch what waits and do it."""
        delivery.sweep()
        waiting = inbox.read(self.paired.terminal.pk).items
        commands.mark_fetched([item.jti for item in waiting], timezone.now())
        for item in waiting:
            self.machine.receive(item.token)

    def report(self) -> list[str]:
        """Send the outbox; what was answered."""
        with self.machine.store.transaction() as state:
            sent = [item.receipt for item in state.outbox]
            state.outbox = []
        self.paired.terminal.refresh_from_db()
        return [result.r for result in receipts.accept(self.paired.terminal, sent)]

    def rounds(self, times: int = 3) -> None:
        """As many polls with their reports."""
        for _ in range(times):
            self.poll()
            self.report()

    def carried_out(self) -> list[int]:
        """The numbers of the tokens it applied, in their order."""
        journal = self.machine.store.directory / "journal.jsonl"
        done = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
        numbers = {token.jti: token.seq for token in CommandToken.objects.all()} | self.numbers
        return [numbers[line["jti"]] for line in done if "applied" in line.values() and line.get("jti")]


@pytest.fixture
def counter(till: PairedTill, tmp_path: Path) -> Counter:
    """The till at its desk."""
    machine = Till(Store(tmp_path / "till"), hasher=CHEAP)
    claims, root = verify_self_vouched(issuer.current_keyset().token, TYP_KEYSET, "roots")
    with machine.store.transaction() as state:
        state.status, state.tid = "active", till.terminal.pk
        state.origin = claims["iss"]
        state.sign_key, state.open_key = dict(till.sign_key), dict(till.open_key)
        state.roots, state.keyset = [dict(root)], asdict(parse_keyset(claims))
    for number, password in PASSWORDS.items():
        machine.seed(number, password, NAMES[number])
    return Counter(till, machine)


@pytest.fixture
def backup(counter: Counter) -> Iterator[Callable[[], Callable[[], None]]]:
    """Copies the SQLite database; what it returns puts the copy back, and empties Redis."""
    if connection.vendor != "sqlite":
        pytest.skip("copies an SQLite database")
    copies: list[sqlite3.Connection] = []

    def take() -> Callable[[], None]:
        copy = sqlite3.connect(":memory:")
        copies.append(copy)
        connection.ensure_connection()
        connection.connection.backup(copy)

        def restore() -> None:
            counter.numbers.update(CommandToken.objects.values_list("jti", "seq"))
            copy.backup(connection.connection)
            inbox.client().flushall()
            counter.paired.terminal.refresh_from_db()

        return restore

    yield take
    for copy in copies:
        copy.close()


Backup = Callable[[], Callable[[], None]]


def rises(numbers: list[int]) -> bool:
    """Whether each is above the one before."""
    return all(one < two for one, two in pairwise(numbers))


def signs_on(counter: Counter, password: str, operator: str = "03") -> bool:
    """Whether this is the password in force."""
    return counter.machine.sign_on(operator, password).accepted


def test_a_number_that_was_used_meanwhile_is_refused_and_the_same_command_goes_on_above(
    counter: Counter, backup: Backup
) -> None:
    counter.reset("730581")
    counter.rounds(1)
    restore = backup()
    for password in ("730582", "730583"):
        counter.reset(password)
        counter.rounds(1)
    restore()
    newest = counter.reset("730584")
    assert newest.seq == 2  # the till has had a 2 and a 3
    counter.rounds()
    healed = fresh(newest)
    assert (healed.state, healed.seq, healed.attempt) == (State.APPLIED, 4, 2)
    assert signs_on(counter, "730584") and counter.carried_out() == [1, 2, 3, 4]
    alert = TerminalAlert.objects.get()
    assert (alert.kind, alert.facts) == ("seq_replayed", {"hwm": 3, "ours": 2})


def test_a_till_that_has_polled_since_gets_a_number_above_what_it_has_seen_at_once(
    counter: Counter, backup: Backup
) -> None:
    counter.reset("730581")
    counter.rounds(1)
    restore = backup()
    counter.reset("730582")
    counter.rounds(1)
    restore()
    seen = {"reported_hwm": counter.machine.store.load().hwm}
    TerminalStatus.objects.update_or_create(terminal=counter.paired.terminal, defaults=seen)
    newest = counter.reset("730583")
    assert newest.seq == 3
    counter.rounds()
    assert fresh(newest).attempt == 1 and counter.carried_out() == [1, 2, 3]
    assert TerminalAlert.objects.get().kind == "hwm_ahead"


def test_receipts_of_what_we_forgot_move_the_numbers_before_anything_is_sent(
    counter: Counter, backup: Backup
) -> None:
    counter.reset("730581")
    counter.rounds(1)
    restore = backup()
    counter.reset("730582")
    counter.poll()
    restore()
    assert counter.report() == ["unknown"]
    newest = counter.reset("730583")
    counter.rounds()
    assert (fresh(newest).seq, fresh(newest).attempt) == (3, 1)
    assert set(TerminalAlert.objects.values_list("kind", flat=True)) == {"unknown_receipt", "hwm_ahead"}


def test_what_was_open_at_the_backup_and_applied_since_is_told_again_and_not_done_again(
    counter: Counter, backup: Backup
) -> None:
    waiting = counter.reset("730581")
    restore = backup()
    counter.rounds(1)
    changed = counter.machine.store.load().operators["03"].changed_at
    restore()
    assert fresh(waiting).state == State.QUEUED
    counter.rounds(1)
    assert fresh(waiting).state == State.APPLIED and counter.carried_out() == [1]
    assert counter.machine.store.load().operators["03"].changed_at == changed


def test_an_old_reset_that_comes_back_with_the_database_does_not_beat_a_newer_one(
    counter: Counter, backup: Backup
) -> None:
    older = counter.reset("730581")
    restore = backup()
    counter.rounds(1)
    newer = counter.reset("730582")
    counter.rounds(1)
    restore()
    assert not Command.objects.filter(pk=newer.pk).exists()
    counter.rounds()
    assert fresh(older).state == State.APPLIED and signs_on(counter, "730582")


def test_after_ten_restores_no_number_was_carried_out_twice(counter: Counter, backup: Backup) -> None:
    for turn in range(10):
        restore = backup()
        for step in range(turn % 3 + 1):
            counter.reset(f"73{turn}{step}81")
            counter.rounds(1)
        restore()
        newest = counter.reset(f"84{turn}092")
        counter.rounds(4)
        assert fresh(newest).state == State.APPLIED and signs_on(counter, f"84{turn}092")
    done = counter.carried_out()
    assert len(done) >= 20 and rises(done) and len(set(done)) == len(done)
