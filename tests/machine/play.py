"""Playing a machine of rules: so many runs, so many steps, and the seed they come from."""

from __future__ import annotations

import os

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.scene import Scene


def play(machine: type[Scene], runs: int, steps: int, *, seed: int) -> None:
    """Let it happen; raises what was found. The same seed plays the same."""
    run_state_machine_as_test(
        hypothesis.seed(seed)(machine),
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            derandomize=False,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink) if os.environ.get("REKEY_SHRINK") else (Phase.generate,),
        ),
    )
