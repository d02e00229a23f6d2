"""A terminal's storage without a disk: the same commits and the same points at which the power can fail."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from terminals.simulator.failpoints import STAGES, reach
from terminals.simulator.state import State
from terminals.simulator.store import Store

_RENAMED = STAGES.index("renamed")
_JOURNAL = STAGES.index("journal-half-written")


@dataclass
class Disk:
    """What survives a power cut; `view` is the same state for readers, made once."""

    state: bytes = field(default_factory=lambda: pickle.dumps(State()))
    view: State = field(default_factory=State)
    journal: list[dict[str, Any]] = field(default_factory=list)
    version: int = 0


class MemoryStore(Store):
    """As `Store`, and some twenty times as fast; whoever is cut off in it loses what is not on the disk."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk

    def load(self) -> State:
        """The state last committed, to be read only."""
        return self.disk.view

    @contextmanager
    def transaction(self, name: str = "change") -> Iterator[State]:
        """Change the state; nothing is kept if the block raises."""
        state = self._copy()
        self._catch_up(state, name)
        yield state
        if state != replace(self.disk.view, journal=[]):
            reach(f"{name}/before-commit")
            self._commit(state, name)
            self._catch_up(state, name)

    def version(self) -> int:
        """A number that differs after every change."""
        return self.disk.version

    def journal(self) -> list[dict[str, Any]]:
        """All lines of the journal."""
        self._catch_up(self._copy(), "read")
        return self.disk.journal

    def _copy(self) -> State:
        state: State = pickle.loads(self.disk.state)
        return state

    def _commit(self, state: State, name: str) -> None:
        for stage in STAGES[1:_RENAMED]:
            reach(f"{name}/{stage}")
        self.disk.state = pickle.dumps(state)
        self.disk.view = self._copy()
        self.disk.version += 1
        for stage in STAGES[_RENAMED:_JOURNAL]:
            reach(f"{name}/{stage}")

    def _catch_up(self, state: State, name: str) -> None:
        known = self.disk.journal[-1]["n"] if self.disk.journal else 0
        missing = [entry for entry in state.journal if entry["n"] > known]
        if missing:
            reach(f"{name}/{STAGES[_JOURNAL]}")
            self.disk.journal += missing
            for stage in STAGES[_JOURNAL + 1 :]:
                reach(f"{name}/{stage}")
        state.journal = []
