"""The conformance kit over real HTTP between real processes: our server on one side, our terminal on the other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from terminals.conformance.hands import Ready
from terminals.conformance.report import line
from terminals.conformance.rules import PASSED, run
from terminals.conformance.server_rules import RULES, ServerBench
from tests import stack

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Stack]:
    """Web, worker, beat and Redis."""
    limits = "pairing=1000/hour,pairing-overall=1000/hour"
    with stack.running(tmp_path_factory.mktemp("kit") / "var", REKEY_LIMITS=limits) as running:
        yield running


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
