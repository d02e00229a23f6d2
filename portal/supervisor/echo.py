"""What of the children's output a person should see at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

LOUD = frozenset({"error", "critical"})


@dataclass(slots=True)
class Tail:
    """The new lines of a growing file, each with a prefix."""

    path: Path
    prefix: str
    only_loud: bool = False
    _offset: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._offset = self.path.stat().st_size if self.path.exists() else 0

    def lines(self) -> list[str]:
        """Complete lines that came since the last call and are worth showing."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            fresh = file.read()
        complete = fresh[: fresh.rfind(b"\n") + 1]
        self._offset += len(complete)
        shown = (self._shown(line) for line in complete.decode("utf-8", "replace").splitlines())
        return [f"{self.prefix}{line}" for line in shown if line]

    def _shown(self, line: str) -> str:
        """The line itself, or for a log the event of a loud one."""
        if not self.only_loud:
            return line
        try:
            entry = json.loads(line)
        except ValueError:
            return ""
        if not isinstance(entry, dict) or entry.get("level") not in LOUD:
            return ""
        return f"{entry.get('level')}: {entry.get('event')}"


def show(tails: list[Tail]) -> None:
    """Print what is new in all of them."""
    for tail in tails:
        for line in tail.lines():
            print(line, flush=True)
