"""The state directory: every change is whole or absent, whenever the power goes."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from terminals.simulator.failpoints import reach
from terminals.simulator.state import State, from_json, to_json

_PRIVATE_DIRECTORY: Final = 0o700
_PRIVATE_FILE: Final = 0o600


class Store:
    """One directory with `state.json` (the truth), `journal.jsonl` (what happened) and `lock`.

    A journal line is first part of the state and only then appended to the journal, so the state decides
    whether something happened and the journal can always be caught up from it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        self._state = directory / "state.json"
        self._journal = directory / "journal.jsonl"

    def load(self) -> State:
        """The state last committed; a new one if there is none."""
        try:
            return from_json(json.loads(self._state.read_bytes()))
        except FileNotFoundError:
            return State()

    @contextmanager
    def transaction(self, name: str = "change") -> Iterator[State]:
        """Change the state under a lock shared by all processes; nothing is kept if the block raises.

        `name` says at which failpoints this change may be cut short.
        """
        with self._locked():
            state = self.load()
            self._catch_up(state, name)
            before = to_json(state)
            yield state
            if to_json(state) != before:
                reach(f"{name}/before-commit")
                self._commit(state, name)
                self._catch_up(state, name)

    def version(self) -> int:
        """A number that differs after every change, by whatever process."""
        try:
            return self._state.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def journal(self) -> list[dict[str, Any]]:
        """All complete lines of the journal."""
        with self._locked():
            self._catch_up(self.load(), "read")
            return [json.loads(line) for line in self._lines()]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with _open(self.directory / "lock", os.O_RDWR) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _commit(self, state: State, name: str) -> None:
        temporary = self._state.with_suffix(".new")
        body = json.dumps(to_json(state), ensure_ascii=False, indent=1).encode("utf-8")
        with _open(temporary, os.O_WRONLY | os.O_TRUNC) as handle:
            _write(handle, body, f"{name}/temp-half-written")
            reach(f"{name}/temp-written")
            os.fsync(handle.fileno())
        reach(f"{name}/temp-synced")
        temporary.replace(self._state)
        reach(f"{name}/renamed")
        self._sync_directory()
        reach(f"{name}/directory-synced")

    def _catch_up(self, state: State, name: str) -> None:
        """Append what the journal lacks; afterwards the state may forget it at its next commit."""
        known = self._last_number()
        missing = [entry for entry in state.journal if entry["n"] > known]
        if missing:
            lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in missing)
            with _open(self._journal, os.O_RDWR) as handle:
                handle.seek(self._whole_size())
                handle.truncate()
                _write(handle, lines.encode("utf-8"), f"{name}/journal-half-written")
                reach(f"{name}/journal-written")
                os.fsync(handle.fileno())
            self._sync_directory()
            reach(f"{name}/journal-synced")
        state.journal = []

    def _lines(self) -> list[bytes]:
        if not self._journal.exists():
            return []
        return self._journal.read_bytes()[: self._whole_size()].splitlines()

    def _whole_size(self) -> int:
        """The length of the journal without a last line that was cut short."""
        return self._journal.read_bytes().rfind(b"\n") + 1 if self._journal.exists() else 0

    def _last_number(self) -> int:
        lines = self._lines()
        return int(json.loads(lines[-1])["n"]) if lines else 0

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _open(path: Path, flags: int) -> IO[bytes]:
    return os.fdopen(os.open(path, flags | os.O_CREAT, _PRIVATE_FILE), "r+b" if flags & os.O_RDWR else "wb")


def _write(handle: IO[bytes], body: bytes, halfway: str) -> None:
    handle.write(body[: len(body) // 2])
    handle.flush()
    reach(halfway)
    handle.write(body[len(body) // 2 :])
    handle.flush()
