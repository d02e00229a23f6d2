"""Whatever the line, the power and the people do: the newest password wins, and both sides agree in the end.

A Hypothesis state machine over the real server (rows, Redis, signer, every door) and the simulated terminal
with its state folder. Numbers of a run are printed; REKEY_THOROUGH=1 makes it 2,000 runs of 60 steps.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.defects import DEFECTS, QUICKLY_FOUND
from tests.machine.machine import TerminalAndServer, counted, cut_at
from tests.machine.memory import WithoutDisk

THOROUGH = bool(os.environ.get("REKEY_THOROUGH"))
RUNS = int(os.environ.get("REKEY_MACHINE_RUNS") or (2000 if THOROUGH else 15))
STEPS = 60
DEFECT_RUNS = 400


def play(runs: int, machine: type[TerminalAndServer]) -> None:
    """Let it happen, so many times; raises what was found."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not THOROUGH,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink) if os.environ.get("REKEY_SHRINK") else (Phase.generate,),
        ),
    )


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_whatever_happens_both_sides_agree_in_the_end(issuer_keys: Path, quiet_logs: None) -> None:
    play(RUNS, WithoutDisk if THOROUGH else TerminalAndServer)
    print("machine:", dict(counted), "points at which the power failed:", len(cut_at))
    assert counted["runs"] >= RUNS
    assert counted["resets"]
    assert counted["power cuts"]
    assert counted["restores"]


@pytest.mark.slow
@pytest.mark.parametrize("name", DEFECTS if THOROUGH else QUICKLY_FOUND)
@pytest.mark.django_db(transaction=True)
def test_a_defect_is_found(
    name: str, issuer_keys: Path, quiet_logs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    DEFECTS[name](monkeypatch)
    before = counted["runs"]
    with pytest.raises((AssertionError, FlakyFailure)) as found:
        play(DEFECT_RUNS, WithoutDisk)
    print(f"{name}: found in run {counted['runs'] - before}: {str(found.value)[:70]}")
