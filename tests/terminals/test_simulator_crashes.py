"""The power may go at any moment: what is found afterwards is the old state or the new one, whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from terminals import jose
from terminals.protocol import TYP_COMMAND
from terminals.simulator.failpoints import POINTS, VARIABLE
from terminals.simulator.till import Till
from tests.terminals.stand_in import serving
from tests.terminals.tills import PASSWORDS, enrolled, receipts
from tests.vectors import world
from tests.vectors.world import HWM, ISSUER

ROOT = Path(__file__).parents[2]
RECEIVE = """
import sys
from pathlib import Path
from argon2 import PasswordHasher
from terminals.simulator.store import Store
from terminals.simulator.till import Till
cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
print(Till(Store(Path(sys.argv[1])), clock=lambda: float(sys.argv[2]), hasher=cheap).receive(sys.argv[3]).st)
"""
LOCAL_POINTS = [point for point in POINTS if not point.startswith("receipts")]
BEFORE = ("before-commit", "temp-half-written", "temp-written", "temp-synced")


def run(arguments: list[str], point: str = "") -> subprocess.CompletedProcess[str]:
    """A process of its own that dies at this point."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: point}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def token() -> str:
    return jose.sign(world.command(), TYP_COMMAND, ISSUER)


@pytest.mark.parametrize("point", LOCAL_POINTS)
def test_a_power_cut_leaves_the_old_state_or_the_new_one(tmp_path: Path, point: str) -> None:
    till, sent = enrolled(tmp_path), token()
    died = run(["-c", RECEIVE, str(tmp_path), str(world.T0), sent], point)
    assert died.returncode == -signal.SIGKILL

    committed = point not in BEFORE
    state = till.store.load()
    assert state.hwm == HWM + committed
    assert len(state.done) == len(receipts(till)) == committed
    assert till.sign_on("03", PASSWORDS["03"]).accepted is not committed

    assert till.receive(sent).st == ("repeated" if committed else "applied")
    assert till.sign_on("03", "482917").accepted
    assert [claims["st"] for claims in receipts(till)] == ["applied", "signed_on"]
    assert [entry["event"] for entry in till.store.journal()] == ["applied", "signed_on"]
    assert len(till.store.load().operators["03"].hashes) == 2


@pytest.mark.parametrize("first", LOCAL_POINTS)
def test_two_power_cuts_in_a_row_are_no_worse(tmp_path: Path, first: str) -> None:
    till, sent = enrolled(tmp_path), token()
    for point in (first, "journal-half-written"):
        run(["-c", RECEIVE, str(tmp_path), str(world.T0), sent], point)
    till.receive(sent)
    assert [entry["event"] for entry in till.store.journal()] == ["applied"]
    assert [claims["st"] for claims in receipts(till)] == ["applied"]


@pytest.mark.parametrize("point", POINTS)
def test_the_server_hears_of_every_effect_exactly_once_whatever_point_the_power_went(
    tmp_path: Path, point: str
) -> None:
    with serving() as server:
        arguments = ["-m", "terminals.simulator", "run", "--state", str(tmp_path), "--url", server.origin]
        arguments += [
            "--once",
            "--interval-cap",
            "0.1",
            "--pairing-code",
            server.code,
            "--operator",
            "03=2846",
        ]
        assert run(arguments).returncode == 0
        cid = server.issue(op="03", password="482917")
        assert run(arguments, point).returncode == -signal.SIGKILL
        assert run(arguments).returncode == 0
        assert server.outcome(cid) == ["applied"]
        assert all(len(copies) == 1 for copies in server.receipt_bytes.values())
        journal = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
        assert [entry["event"] for entry in journal] == ["applied"]
        assert (
            run(["-m", "terminals.simulator", "signon", "--state", str(tmp_path), "03", "482917"]).returncode
            == 0
        )
        assert run(arguments).returncode == 0
        assert server.outcome(cid) == ["applied", "signed_on"]


def test_every_point_is_really_passed(tmp_path: Path) -> None:
    text = "".join(path.read_text() for path in (ROOT / "terminals" / "simulator").glob("*.py"))
    for point in POINTS:
        assert text.count(f'"{point}"') == 2, point


def test_two_processes_on_one_memory_lose_nothing(tmp_path: Path) -> None:
    till = enrolled(tmp_path)
    script = (
        "import sys; from pathlib import Path; from terminals.simulator.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for _ in range(100):\n"
        "    with store.transaction() as state: state.hwm += 1; state.note('step', 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    racers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=environment) for _ in range(3)
    ]
    assert [racer.wait(60) for racer in racers] == [0, 0, 0]
    assert till.store.load().hwm == HWM + 300
    assert [entry["n"] for entry in till.store.journal()] == list(range(1, 301))


def test_it_runs_without_the_web_framework() -> None:
    script = "import sys, terminals.simulator.cli; sys.exit('django' in sys.modules)"
    assert run(["-c", script]).returncode == 0


def test_till_and_store_agree_after_a_reload(tmp_path: Path) -> None:
    till = enrolled(tmp_path)
    assert isinstance(till, Till)
    with till.store.transaction() as state:
        assert state == till.store.load()
