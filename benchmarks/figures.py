"""What a benchmark reports: figures against their ceilings, and the rows they were made from."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.load import Window


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything; `TINY` only shows that it runs."""

    seconds: float
    rotation: int
    few: int
    cold: int
    held: int
    idle_s: float
    pushes: int
    hops: int
    signed: int
    terminals: int
    finished: int


FULL = Scale(4.0, 40_000, 2000, 4000, 10_000, 8.0, 100, 100, 400, 1_000_000, 10_000_000)
TINY = Scale(0.3, 2000, 20, 200, 40, 0.5, 5, 5, 10, 2_000, 5_000)


@dataclass(frozen=True, slots=True)
class Bound:
    """One number that was asked for, and what was measured."""

    name: str
    measured: float
    goal: float
    unit: str = ""
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal was reached."""
        return self.measured <= self.goal if self.at_most else self.measured >= self.goal

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        return f"{self.name} {number(self.measured)}{self.unit} ({sign} {number(self.goal)}{self.unit})"


@dataclass(frozen=True, slots=True)
class Table:
    """Details behind one or more figures."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result: what was compared with what, and how it ended."""

    number: int
    title: str
    product: str
    ceiling: str
    bounds: Sequence[Bound]
    limit: str

    @property
    def met(self) -> bool:
        """Whether every bound was kept."""
        return all(bound.met for bound in self.bounds)


@dataclass(slots=True)
class Outcome:
    """What one group of benchmarks found."""

    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)


def number(value: float) -> str:
    """A number as people write it: three figures that matter."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def middle(windows: Sequence[Window], of: Callable[[Window], float]) -> float:
    """The median over rounds of something a window tells."""
    return median([of(window) for window in windows])
