"""Whoever does what in whatever order: nothing is reset without the proofs that the floors ask for.

A Hypothesis state machine over the real pages; docs/gates.md tells what it plays. `REKEY_THOROUGH=1` makes it
2,000 runs of 60 steps in parts of 20, each of them the same whenever it is played; `REKEY_SHRINK=1` makes
what is found small.
"""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sittings.defects import DEFECTS
from tests.sittings.machine import Sittings
from tests.sittings.openings import OPENINGS, Opening
from tests.sittings.stage import totals
from tests.sittings.world import World

THOROUGH = bool(os.environ.get("REKEY_THOROUGH"))
PARTS, RUNS = (100, 20) if THOROUGH else (1, int(os.environ.get("REKEY_SITTINGS") or 12))
STEPS = 60

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def play(runs: int, part: int = 0) -> None:
    """Let it happen, so many times; raises what was found. A part is the same whenever it is played."""
    shrinks = (Phase.shrink,) if os.environ.get("REKEY_SHRINK") else ()
    machine = type("Sittings", (Sittings,), {"_hypothesis_internal_use_seed": part})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, *shrinks),
        ),
    )


def play_opening(opening: Opening) -> None:
    """A day that is written down, and its end."""
    day = Sittings()
    opening(day)
    day.teardown()


@pytest.mark.parametrize("part", range(PARTS))
def test_T33_nothing_is_reset_without_its_proofs_and_everything_ends(world: World, part: int) -> None:
    began = time.perf_counter()
    totals.clear()
    play(RUNS, part)
    took = time.perf_counter() - began
    print(f"sittings, part {part}: {dict(totals)} in {took:.0f} s")
    assert totals["runs"] >= RUNS
    assert totals["codes accepted"]


def test_what_is_played_to_find_a_defect_finds_none_where_there_is_none(world: World) -> None:
    totals.clear()
    for opening in OPENINGS.values():
        play_opening(opening)
    # The days are no empty ones.
    for what in ("commands for 00", "commands for 03", "change registered: standing", "vetoes", "frozen"):
        assert totals[what], f"there were no {what}"


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(name: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    DEFECTS[name].plant(monkeypatch)
    with pytest.raises(AssertionError) as found:
        play_opening(DEFECTS[name].opening)
    print(f"{name}: {str(found.value)[:100]}")
