"""Defects that a terminal or a server might have, planted to see that the machine finds each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pytest

from terminals import commands, receipts, sequence, signing
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

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Defect:
    """How to plant it, and the opening of a day (`machine.a_day_begins`) that brings it to light."""

    plant: Plant
    opening: int


DEFECTS: Final[dict[str, Defect]] = {}


def defect(name: str, opening: int) -> Callable[[Plant], Plant]:
    """One more."""

    def note(plant: Plant) -> Plant:
        DEFECTS[name] = Defect(plant, opening)
        return plant

    return note


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
