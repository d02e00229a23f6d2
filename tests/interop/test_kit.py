"""The conformance kit as a firmware engineer runs it, on a terminal written from the document alone."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from terminals.conformance.terminal_rules import RULES

ROOT = Path(__file__).parents[2]
WITHIN_S = 1200
# What the terminal does not offer when it pairs, and the one rule that takes hours.
CANNOT = "the terminal does not list factory_reset in cap.cmds"
SLOW = "it takes long; run it without --quick"

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture
def hands(program: Path, tmp_path: Path) -> Iterator[str]:
    """The command that moves the terminal; what it left running is ended."""
    state = tmp_path / "state"
    yield shlex.join(["node", str(program / "hands.mjs"), str(state)])
    for number in (state / "running").read_text().split() if (state / "running").exists() else []:
        with suppress(ProcessLookupError):
            os.kill(int(number), signal.SIGTERM)


def kit(directory: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Run the command; its exit code, what it found, and what it told on the way."""
    out, err = directory / "out", directory / "err"
    command = [sys.executable, "manage.py", "conformance", "--json", *options]
    with out.open("w") as found, err.open("w") as told:
        done = subprocess.run(command, cwd=ROOT, stdout=found, stderr=told, timeout=WITHIN_S, check=False)
    return done.returncode, json.loads(out.read_text()), err.read_text()


def test_a_terminal_written_from_the_document_keeps_every_rule(hands: str, tmp_path: Path) -> None:
    code, found, told = kit(tmp_path, "--listen", "127.0.0.1:0", "--quick", "--hands", hands)

    assert [rule for rule in found["rules"] if rule["outcome"] == "failed"] == []
    left_out = {rule["id"]: rule["why"] for rule in found["rules"] if rule["outcome"] == "not run"}
    assert Counter(left_out.values()) == {CANNOT: 6, SLOW: 1}, left_out
    assert found["sums"]["passed"] == len(RULES) - len(left_out)
    assert code == 0
    assert "Pair the terminal with this code" in told


def test_hands_that_do_nothing_are_told_of_and_nothing_passes(tmp_path: Path) -> None:
    code, found, told = kit(tmp_path, "--listen", "127.0.0.1:0", "--quick", "--hands", "false")
    assert code == 1
    assert found["sums"] == {"not run": len(RULES)}
    assert "pair-request                 not run: `false pair` could not: exit code 1" in told
