"""Whatever the line, the power and the people do: the newest password wins, and both sides agree in the end.

A Hypothesis state machine over the real server (rows, Redis, signer, what stands behind every door) and the
simulated terminal. What it looks for, after every step or at the end of a run:

- the password in force is of the newest command carried out, and none was overtaken by an older one;
- what the server calls applied was carried out, and the other way round; nothing counts twice;
- numbers rise for each key, and none is given out that the terminal has reported as used;
- a terminal that was stopped is told to lock and nothing else; no key is let in that is not in force;
- once everything is mended, no command, receipt, pairing or roll is left open, and nobody is locked out.

Nothing that happens depends on the clock, on chance or on threads, so a seed plays the same everywhere. CI
plays few; `REKEY_MACHINE=2000x60 pytest tests/machine -k in_the_end -s` plays so many runs of so many
steps, from `REKEY_MACHINE_SEED`, and prints the numbers. `REKEY_SHRINK=1` makes what is found small.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.machine.defects import DEFECTS, Day
from tests.machine.machine import TerminalAndServer, ThroughTheDoors
from tests.machine.play import play
from tests.machine.scene import around_the_commit, counted, cut_at

pytestmark = pytest.mark.django_db(transaction=True)
RUNS, STEPS = (int(number) for number in os.environ.get("REKEY_MACHINE", "12x60").split("x"))
LARGE, POINTS_IN_A_LARGE_RUN = 1000, 40
SEED = int(os.environ.get("REKEY_MACHINE_SEED", "1"))


@pytest.fixture(autouse=True)
def fresh_counts() -> None:
    counted.clear()
    cut_at.clear()


@pytest.mark.slow
def test_whatever_happens_both_sides_agree_in_the_end(issuer_keys: Path, quiet_logs: None) -> None:
    play(TerminalAndServer, RUNS, STEPS, seed=SEED)
    around = len(around_the_commit())
    print(f"machine, seed {SEED}:", dict(counted))
    print(f"the power failed at {around} points around a commit, {len(cut_at)} in all")
    assert RUNS < LARGE or len(cut_at) >= POINTS_IN_A_LARGE_RUN
    assert counted["runs"] >= RUNS
    for what in ("resets", "power cuts", "key rolls", "quarantines"):
        assert counted[what], f"there were no {what}"


@pytest.mark.slow
def test_nor_does_it_matter_that_there_are_files_frames_and_threads(
    issuer_keys: Path, quiet_logs: None
) -> None:
    play(ThroughTheDoors, 3, 20, seed=SEED)
    assert counted["runs"] >= 3


def live(scene: TerminalAndServer, day: Day) -> None:
    """A day and its end, with what holds after every step."""
    try:
        day(scene)
        scene.numbers_only_rise()
        scene.the_password_in_force_is_of_the_newest_command_carried_out()
    finally:
        scene.teardown()


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(
    name: str, issuer_keys: Path, quiet_logs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = TerminalAndServer()
    DEFECTS[name].plant(monkeypatch)
    with pytest.raises(AssertionError):
        live(scene, DEFECTS[name].day)


def test_without_a_defect_the_same_days_end_well(issuer_keys: Path, quiet_logs: None) -> None:
    for day in dict.fromkeys(defect.day for defect in DEFECTS.values()):
        live(TerminalAndServer(), day)


def test_a_seed_plays_the_same_twice(issuer_keys: Path, quiet_logs: None) -> None:
    played = []
    for _ in range(2):
        counted.clear()
        play(TerminalAndServer, 2, 10, seed=SEED)
        played.append(dict(counted))
    assert played[0] == played[1]
