"""The conformance kit over real HTTP: our server in processes of its own, and our terminal in one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from terminals.conformance.hands import Ready
from terminals.conformance.report import line
from terminals.conformance.rules import FAILED, PASSED, run
from terminals.conformance.server import Server, serving
from terminals.conformance.server_rules import RULES, ServerBench
from terminals.conformance.terminal_rules import RULES as TERMINAL_RULES
from terminals.conformance.terminal_rules import TerminalBench
from terminals.conformance.watched import Watched
from terminals.simulator.store import Store
from terminals.simulator.till import Till
from tests import stack

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Stack]:
    """Web, worker, beat and Redis."""
    limits = "pairing=1000/hour,pairing-overall=1000/hour"
    with stack.running(tmp_path_factory.mktemp("kit") / "var", REKEY_LIMITS=limits) as running:
        yield running


# How long it waits is tried in one process, round by round; here it is made to hurry.
HURRIED = {"poll-interval", "poll-fast", "poll-broken-pace", "poll-retry-after", "poll-back-off", "poll-more"}
HURRIED |= {"poll-no-answer", "poll-stands-by"}


def test_our_running_server_passes_every_rule(server: stack.Stack) -> None:
    shop: dict[str, Any] = server.office("shops", count=1, operators=3)[0]
    owner = Ready(
        {
            "reset": lambda terminal, op: server.office("reset", terminal=terminal, operator=op),
            "pairing-code": lambda terminal: server.office("pairing_code", terminal=terminal),
        }
    )
    verdicts = run(RULES, ServerBench(server.origin, shop["pairing_code"], owner))
    assert [line(verdict) for verdict in verdicts if verdict.outcome != PASSED] == []


def test_our_terminal_in_a_process_of_its_own_passes_every_rule(tmp_path: Path) -> None:
    kit = Server()
    till = Till(Store(tmp_path / "till"))
    hands = Ready(
        {"busy": lambda state: till.set_busy(state == "on"), "signon": lambda *who: signed_on(till, *who)}
    )
    processes: list[subprocess.Popen[bytes]] = []

    def started(qr: str) -> None:
        command = [sys.executable, "-m", "terminals.simulator", "run", "--state", str(tmp_path / "till")]
        command += [
            "--pairing-code",
            qr,
            "--interval-cap",
            "0.1",
            "--operator",
            "03=2846",
            "--operator",
            "00=739154",
        ]
        processes.append(subprocess.Popen([*command, "--operator", "99=40718263"], stdout=subprocess.DEVNULL))

    with serving(kit):
        watched = Watched(kit, started)
        bench = TerminalBench(kit, watched, watched.left_alone(hands))
        rules = [rule for rule in TERMINAL_RULES if rule.id not in HURRIED]
        try:
            verdicts = run(rules, bench, between=bench.server.calm)
        finally:
            for process in processes:
                process.terminate()
                process.wait(timeout=20)
    assert [line(verdict) for verdict in verdicts if verdict.outcome == FAILED] == []
    assert sum(verdict.outcome == PASSED for verdict in verdicts) >= 95


def signed_on(till: Till, number: str, password: str) -> str:
    """What the screen says."""
    return "ok" if till.sign_on(number, password).accepted else "no"
