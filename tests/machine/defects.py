"""Defects that a terminal or a server might have, planted to see that the machine finds each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from terminals.simulator.outbox import Outbox
from terminals.simulator.till import Till

Plant = Callable[[pytest.MonkeyPatch], None]
DEFECTS: Final[dict[str, Plant]] = {}
# What a run of some seconds finds; the others take a thorough one.
QUICKLY_FOUND: Final = ("the terminal keeps no receipts",)


def defect(name: str) -> Callable[[Plant], Plant]:
    """One more."""

    def note(plant: Plant) -> Plant:
        DEFECTS[name] = plant
        return plant

    return note


@defect("the terminal keeps no receipts")
def _forget_receipts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Outbox, "finish", lambda self, state, now, tok, named, **outcome: None)


@defect("the terminal does not store the highest number")
def _keep_no_mark(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Till, "_spend", lambda self, state, order: None)
