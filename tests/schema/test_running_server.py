"""Schemathesis against the served document on real processes: no server error, no undocumented answer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import requests
import schemathesis
import schemathesis.checks
from hypothesis import HealthCheck, Phase, given, settings

from terminals.conformance.server_rules import ServerBench
from terminals.conformance.server_rules import pairing as pairing_rules
from terminals.conformance.unit import Unit
from tests import stack
from tests.schema.visitors import CHECKS, DRAWN, Visitors

pytestmark = [pytest.mark.live, pytest.mark.slow]
THOROUGH = bool(os.environ.get("REKEY_THOROUGH"))
# Cases for each of the nine operations; and where CI stops even if the machine is slow.
CASES = 2_400 if THOROUGH else 130
SECONDS = 3_600 if THOROUGH else 60
UNITS = 6
LIMITS = ",".join(
    f"{name}=1000000/hour" for name in ("pairing", "pairing-overall", "recoveries-per-terminal")
)


class Late(BaseException):
    """The time for this operation is over; no ordinary exception, so that nothing is tried again."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Stack]:
    """Web, worker, beat and Redis, without limits that would answer instead of the doors."""
    with stack.running(tmp_path_factory.mktemp("schema") / "var", REKEY_LIMITS=LIMITS) as running:
        yield running


def paired(server: stack.Stack, code: str) -> Unit:
    """A unit that has just been paired."""
    bench = ServerBench(server.origin, code)
    pairing_rules.accepts(bench)
    pairing_rules.confirm(bench)
    return bench.unit


@pytest.fixture(scope="module")
def visitors(server: stack.Stack) -> Visitors:
    """Some paired terminals, and codes for some more."""
    shops = server.office("shops", count=UNITS + 20, operators=2)
    units = [paired(server, shop["pairing_code"]) for shop in shops[:UNITS]]
    return Visitors(units, [shop["pairing_code"].split("|")[1] for shop in shops[UNITS:]])


def test_every_answer_is_one_that_the_document_describes(server: stack.Stack, visitors: Visitors) -> None:
    document = httpx.get(f"{server.origin}/terminal/v1/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.origin, continue_on_failure=True)
    operations: list[Any] = [cast("Any", found).ok() for found in schema.get_all_operations()]
    assert len(operations) == 9
    began, wrong = time.monotonic(), []
    for operation in operations:
        wrong += tried(operation, visitors, time.monotonic() + SECONDS / len(operations))
    cases = sum(visitors.statuses.values())
    summary(visitors, cases, time.monotonic() - began)
    assert wrong == []
    assert not any(status >= 500 for _, status in visitors.statuses)
    reached = {label for label, status in visitors.statuses if status < 300}
    assert reached == {operation.label.rpartition("/v1/")[2] for operation in operations}
    assert cases >= (20_000 if THOROUGH else 300)


def tried(operation: Any, visitors: Visitors, deadline: float) -> list[str]:
    """Send the cases of one operation until the deadline; what was wrong, each kind once."""
    wrong: dict[str, str] = {}
    checks = [getattr(schemathesis.checks, name) for name in CHECKS]
    quiet = settings(
        max_examples=CASES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    mode = schemathesis.GenerationMode

    def attempt(case: Any, kind: str) -> None:
        if time.monotonic() > deadline:
            raise Late
        visitors.dress(case, kind)
        answer = case.call(session=line)
        visitors.saw(case, answer)
        try:
            case.validate_response(answer, checks=checks)
        except Exception as found:  # noqa: BLE001 - schemathesis groups what it found
            wrong.setdefault(str(found)[:120], f"{operation.label}: {found}"[:1500])

    for way in (mode.POSITIVE, mode.NEGATIVE):
        half = settings(quiet, max_examples=CASES // 2)
        with requests.Session() as line, suppress(Late):
            half(given(operation.as_strategy(way), DRAWN)(attempt))()
    return list(wrong.values())


def summary(visitors: Visitors, cases: int, seconds: float) -> None:
    """Written down where a person finds it."""
    lines = {f"{label} {status}": count for (label, status), count in sorted(visitors.statuses.items())}
    text = json.dumps({"cases": cases, "seconds": round(seconds), "answers": lines}, indent=1)
    print(text)
    folder = os.environ.get("REKEY_FIGURES")
    if folder:
        Path(folder, "schemathesis.json").write_text(text, "utf-8")
