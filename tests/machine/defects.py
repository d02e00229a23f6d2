"""Defects that a terminal or a server might have, planted to see that the machine finds each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import pytest

from terminals import commands, delivery, inbox, receipts, sequence, signing
from terminals.commands import outcomes
from terminals.life import keyring, keyroll
from terminals.models import Command, CommandEvent, Receipt, Terminal
from terminals.protocol import APPLIED, DUPLICATE, OK
from terminals.simulator import identity
from terminals.simulator.checks import Judge
from terminals.simulator.outbox import Outbox
from terminals.simulator.rolling import KeyRoll
from terminals.simulator.state import State
from terminals.simulator.till import Till
from tests.machine.machine import TerminalAndServer
from tests.machine.memory import MemoryStore

Plant = Callable[[pytest.MonkeyPatch], None]
Day = Callable[[TerminalAndServer], None]
NUMBER: Final = "03"


@dataclass(frozen=True)
class Defect:
    """How to plant it, and a day that brings it to light."""

    plant: Plant
    day: Day


DEFECTS: Final[dict[str, Defect]] = {}


@cache
def opening(which: int) -> Day:
    """A day that begins as `machine.a_day_begins` lets it."""
    return lambda scene: scene.a_day_begins(opening=which, number=NUMBER, every=60)


def defect(name: str, day: Day | int) -> Callable[[Plant], Plant]:
    """One more; a day may be given by its opening."""

    def note(plant: Plant) -> Plant:
        DEFECTS[name] = Defect(plant, opening(day) if isinstance(day, int) else day)
        return plant

    return note


def _restored(scene: TerminalAndServer) -> None:
    """The server forgets that its last command was carried out."""
    scene.somebody_resets_a_password(NUMBER, choose=False)
    scene.the_server_is_backed_up()
    scene.all_goes_well()
    scene.the_server_is_restored(wiped=False)


def _cut_off(scene: TerminalAndServer) -> None:
    """The power fails as soon as something of a new password is in its place."""
    scene.the_power_fails_over_a_new_password("renamed", NUMBER)


def _withdrawn(scene: TerminalAndServer) -> None:
    """Nobody has asked for it yet."""
    scene.somebody_resets_a_password(NUMBER, choose=False)
    scene.deliver()
    scene.somebody_withdraws(0)
    scene.all_goes_well()


def _wiped(scene: TerminalAndServer) -> None:
    """Signed and pushed, and then Redis is empty."""
    scene.somebody_resets_a_password(NUMBER, choose=False)
    scene.deliver()
    scene.redis_is_wiped()


# --- of the terminal -------------------------------------------------------------------------------------


@defect("the terminal keeps no receipts", 0)
def _forget_receipts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Outbox, "finish", lambda self, state, now, tok, named, **outcome: None)


@defect("the terminal does not store the highest number", 9)
def _keep_no_mark(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Till, "_spend", lambda self, state, order: None)


@defect("the terminal takes old numbers", 9)
def _take_old_numbers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Judge, "in_sequence", lambda self, claims, hwm: None)


@defect("the terminal does again what it has done under another number", _restored)
def _forget_what_was_done(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Till, "carried_out_before", lambda self, state, cid: False)


@defect("the terminal commits in two parts", _cut_off)
def _halve_the_commit(patch: pytest.MonkeyPatch) -> None:
    """First the password, then the number and the receipt: the power can fail in between."""
    whole = MemoryStore._commit

    def halves(self: MemoryStore, state: State, name: str) -> None:
        if name == "receive":
            first = self._copy()
            first.operators = state.operators
            whole(self, first, name)
        whole(self, state, name)

    patch.setattr(MemoryStore, "_commit", halves)


@defect("the terminal says what it did under the old key, and the new one does not repeat it", 6)
def _sign_nothing_anew(patch: pytest.MonkeyPatch) -> None:
    def drop(self: Outbox, state: State, old_key: Any) -> None:
        state.outbox = []

    patch.setattr(Outbox, "sign_anew", drop)


@defect("the terminal forgets its old key as soon as it has asked for a new one", 7)
def _roll_too_early(patch: pytest.MonkeyPatch) -> None:
    begin = KeyRoll.begin

    def hasty(self: Any) -> None:
        begin(self)
        with self.till.store.transaction("roll") as state:
            identity.roll_over(state, self.till.outbox)

    patch.setattr(KeyRoll, "begin", hasty)


# --- of the server ---------------------------------------------------------------------------------------


@defect("the server begins again with its numbers", 2)
def _forget_the_mark(patch: pytest.MonkeyPatch) -> None:
    """After a restore, whatever the terminal says."""
    patch.setattr(sequence, "catch_up", lambda *args: False)
    patch.setattr(signing, "_skipped_to", lambda row: 0)


@defect("a key comes into force by itself", 7)
def _take_over_by_itself(patch: pytest.MonkeyPatch) -> None:
    def lapse(terminal_id: str, now: datetime) -> bool:
        terminal = Terminal.objects.get(pk=terminal_id)
        keyring.put_in_force(terminal, rolled=True)
        commands.key_changed(terminal)
        keyring.forget(terminal_id)
        return True

    patch.setattr(keyroll, "_lapse", lapse)


@defect("what was withdrawn stays in the inbox", _withdrawn)
def _take_nothing_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inbox, "drop", lambda terminal_id, jtis: None)


@defect("an inbox that was lost is believed to be empty", _wiped)
def _believe_an_empty_inbox(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inbox, "UNTRUSTED", inbox.EMPTY)
    patch.setattr(inbox, "is_complete", lambda: True)
    patch.setattr(delivery, "_repair", lambda now: None)


@defect("a receipt that comes again counts again", 3)
def _count_again(patch: pytest.MonkeyPatch) -> None:
    def again(said: receipts.Statement, known: Receipt) -> str:
        if known.status == APPLIED:
            CommandEvent.objects.create(command=known.command, to_state=APPLIED)
        return DUPLICATE

    patch.setattr(receipts, "_again", again)


@defect("what is reported after the end is not believed", 5)
def _take_no_late_word(patch: pytest.MonkeyPatch) -> None:
    applied = outcomes.applied

    def deaf(command: Command, at: datetime) -> str:
        return OK if command.state in outcomes.SOFT_FINAL else applied(command, at)

    patch.setattr(commands, "applied", deaf)


@defect("a new key is sent what was signed for the old one", 10)
def _sign_nothing_for_the_new_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commands, "key_changed", lambda terminal: None)


@defect("what a worker signed and did not push is nobody's business", 11)
def _leave_it_to_the_dead(patch: pytest.MonkeyPatch) -> None:
    unclaimed = signing.unclaimed
    patch.setattr(signing, "unclaimed", lambda now: unclaimed(now).filter(token=""))
