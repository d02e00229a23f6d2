"""The hunt itself bites: it notices the changes that tests can see, and lets the others go."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutation.hunt import ROOT, is_killed
from tests.mutation.mutants import mutants_of
from tests.mutation.places import COVERED_BY

SOURCE = '''"""A gate of its own."""

MOST = 5


def is_open(taken: int, *, shut: bool = False) -> bool:
    """Whether one more goes in."""
    if shut:
        return False
    return taken < MOST


def first(values: list[int]) -> int:
    """The smallest, or 0; `or` or not is the same."""
    return min(values, default=0) or 0
'''


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[ModuleType]:
    path = tmp_path / "gate.py"
    path.write_text(SOURCE, "utf-8")
    spec = importlib.util.spec_from_file_location("tests.mutation.gate", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def outcomes(gate: ModuleType, *tests: Callable[[], bool]) -> dict[str, bool]:
    made = mutants_of(Path(str(gate.__file__)))
    return {
        f"{mutant.inside}: {mutant.was} → {mutant.now}": is_killed(mutant, list(tests)) for mutant in made
    }


def test_what_a_test_sees_is_noticed_and_what_none_can_see_is_not(gate: ModuleType) -> None:
    is_open, first = gate.is_open, gate.first
    found = outcomes(
        gate,
        lambda: is_open(4) is True and is_open(5) is False,
        lambda: is_open(0, shut=True) is False,
        lambda: first([3, 2]) == 2 and first([]) == 0,
    )
    survivors = {name for name, killed in found.items() if not killed}
    assert survivors == {"first: min(values, default=0) or 0 → min(values, default=0)"}
    assert {"MOST: 5 → 6", "MOST: 5 → 4", "is_open: taken < MOST → taken <= MOST"} <= found.keys()


def test_with_a_blind_test_everything_survives(gate: ModuleType) -> None:
    found = outcomes(gate, lambda: True)
    assert len(found) >= 12
    assert not any(found.values())


def test_nothing_is_left_changed(gate: ModuleType) -> None:
    outcomes(gate, lambda: False)
    assert gate.is_open(4) and not gate.is_open(5) and gate.MOST == 5


def test_every_module_and_every_test_of_the_map_is_there() -> None:
    assert [name for name in COVERED_BY if not (ROOT / name).is_file()] == []
    files = {file for files in COVERED_BY.values() for file in files}
    assert [file for file in sorted(files) if not (ROOT / "tests" / file).is_file()] == []
