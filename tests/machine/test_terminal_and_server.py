"""Whatever the line, the power and the people do: the newest password wins, and both sides agree in the end.

A Hypothesis state machine over the real server (rows, Redis, signer, every door) and the simulated terminal
with its state folder. Numbers of a run are printed; REKEY_THOROUGH=1 makes it 2,000 runs of 60 steps.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import run_state_machine_as_test

from terminals import sequence, signing
from terminals.simulator.outbox import Outbox
from tests.machine.machine import TerminalAndServer, counted

THOROUGH = bool(os.environ.get("REKEY_THOROUGH"))
RUNS = int(os.environ.get("REKEY_MACHINE_RUNS") or (2000 if THOROUGH else 15))
STEPS = 60


def play(runs: int) -> None:
    """Let it happen, so many times; raises what was found."""
    run_state_machine_as_test(
        TerminalAndServer,
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
    play(RUNS)
    print("machine:", dict(counted))
    assert counted["runs"] >= RUNS
    assert counted["resets"]
    assert counted["power cuts"]
    assert counted["restores"]


def forget_receipts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that carries out and does not keep what it has to say."""
    monkeypatch.setattr(Outbox, "finish", lambda self, state, now, tok, named, **outcome: None)


def forget_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that gives out numbers anew after a restore, whatever the terminal says."""
    monkeypatch.setattr(sequence, "catch_up", lambda *args: False)
    monkeypatch.setattr(signing, "_skipped_to", lambda row: 0)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [forget_receipts, forget_the_mark])
@pytest.mark.django_db(transaction=True)
def test_a_side_that_forgets_is_found(
    mutant: Callable[[pytest.MonkeyPatch], None],
    issuer_keys: Path,
    quiet_logs: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutant(monkeypatch)
    with pytest.raises((AssertionError, FlakyFailure)):
        play(60)
