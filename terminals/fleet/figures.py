"""What a fleet does, counted; and the line that says so each second."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HEAD: Final = (
    "     time   polls/s   p50 ms   p99 ms    held   issued  pending  applied  refused   errors  KiB each"
)
_REMEMBERED: Final = 4096
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


@dataclass(slots=True)
class Figures:
    """Counts since the start; latencies of the last few thousand polls, in seconds."""

    terminals: int
    memory_before: int = field(default_factory=resident)
    began: float = field(default_factory=time.monotonic)
    polls: int = 0
    connected: int = 0
    held: int = 0
    applied: int = 0
    refused: int = 0
    repeated: int = 0
    reported: int = 0
    issued: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    deliveries: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    # By terminal: the newest command that we issued ourselves and when; it supersedes those before it.
    on_the_way: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def each(self) -> float:
        """Kibibytes a terminal, with everything that belongs to it."""
        return (resident() - self.memory_before) / max(1, self.terminals) / 1024

    @property
    def pending(self) -> int:
        """Commands of ours that no terminal has carried out yet."""
        return len(self.on_the_way)

    def noted(self, terminal_id: str, command_id: str) -> None:
        """A command of ours was committed."""
        self.issued += 1
        self.on_the_way[terminal_id] = command_id, time.monotonic()

    def carried_out(self, terminal_id: str, command_id: str) -> None:
        """A terminal has applied a command, one of ours or not."""
        self.applied += 1
        if self.on_the_way.get(terminal_id, ("", 0.0))[0] == command_id:
            self.deliveries.append(time.monotonic() - self.on_the_way.pop(terminal_id)[1])

    def line(self, polls_a_second: float) -> str:
        """One line of the live table."""
        p50, p99 = spread(self.latencies)
        return (
            f"{time.monotonic() - self.began:7.0f} s {polls_a_second:9.0f} {p50:8.1f} {p99:8.1f}"
            f" {self.held:7} {self.issued:8} {self.pending:8} {self.applied:8} {self.refused:8}"
            f" {self.errors.total():8} {self.each:9.1f}"
        )

    def summary(self) -> list[str]:
        """What to say at the end."""
        seconds = time.monotonic() - self.began
        p50, p99 = spread(self.latencies)
        lines = [
            f"{self.terminals:,} terminals for {seconds:.0f} s, {self.each:.1f} KiB of memory each",
            f"polls: {self.polls:,} ({self.polls / seconds:.0f}/s), p50 {p50:.1f} ms, p99 {p99:.1f} ms",
            f"answers: {_counted(self.answers)}",
            f"commands: {self.applied} applied, {self.refused} refused, {self.repeated} repeated",
            f"pending: {self.pending}; receipts taken: {self.reported}",
            f"errors: {_counted(self.errors)}",
        ]
        if self.deliveries:
            p50, p99 = spread(self.deliveries)
            lines.append(f"from the commit of a command to its terminal: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
        return lines


def spread(seconds: deque[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds; zeros when there is nothing."""
    ascending = sorted(seconds)
    if not ascending:
        return 0.0, 0.0
    last = len(ascending) - 1
    return ascending[last // 2] * 1000, ascending[round(last * 0.99)] * 1000


def _counted(counts: Counter[int] | Counter[str]) -> str:
    return ", ".join(f"{count:,} × {what}" for what, count in counts.most_common()) or "none"
