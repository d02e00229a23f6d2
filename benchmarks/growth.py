"""Figure 9: the same polls, deliveries and sweeps beside few rows and beside very many."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks import rig as rigs
from benchmarks.data import FEW
from benchmarks.figures import Bound, Figure, Outcome, Scale, Table, median, number
from benchmarks.load import Load
from benchmarks.rig import Rig
from terminals.fleet import unit as units
from terminals.fleet.unit import Unit

FLAT = 1.1
# A terminal may call twenty times at a stretch before it is asked to slow down.
AT_A_STRETCH = 16
CACHED, FIRST = "cached poll", "first contact"
PATIENCE_S = 120.0
# Polls take turns twice as often as the slower probes.
TURNS = 2


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two databases: its URL and the terminals in it whose keys we hold."""

    name: str
    url: str
    file: Path
    units: Sequence[Unit]


def measure(rig: Rig, scale: Scale, rounds: int) -> Outcome:
    """Small and large in turn; each turn starts a fresh poll process for each."""
    count = min(FEW, scale.rotation)
    sides = [
        _side(rig, "small", os.environ["DATABASE_URL"], count),
        _side(rig, "large", os.environ["BENCH_LARGE"], count),
    ]
    found: dict[str, dict[str, list[float]]] = {side.name: defaultdict(list) for side in sides}
    outcome = Outcome()
    for turn in range(TURNS * rounds):
        for side in sides if turn % 2 == 0 else reversed(sides):
            for name, value in _polls(rig, side, outcome).items():
                found[side.name][name].append(value)
            for name, value in _rows(rig, side, scale).items() if turn % TURNS == 0 else ():
                found[side.name][name].append(value)
    scans = _ask(rig, sides[1], "plans", file=str(sides[1].file), key=_key(rig))
    _judge(found, scans, scale, outcome)
    return outcome


def _key(rig: Rig) -> str:
    return str(rig.var / "issuer" / "signing.jwk")


def _side(rig: Rig, name: str, url: str, count: int) -> Side:
    side = Side(name, url, rig.var / f"{name}.jsonl", [])
    _ask(rig, side, "keys", folder=str(rig.var / "issuer"))
    _ask(rig, side, "fleet", count=count, file=str(side.file))
    return Side(name, url, side.file, list(units.load(side.file)))


def _ask(rig: Rig, side: Side, verb: str, **facts: Any) -> Any:
    done = subprocess.run(
        [
            "taskset",
            "-c",
            str(rig.cores.server),
            sys.executable,
            "-m",
            "benchmarks.probe",
            verb,
            json.dumps(facts),
        ],
        env={**os.environ, "DATABASE_URL": side.url},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def _polls(rig: Rig, side: Side, outcome: Outcome) -> dict[str, float]:
    """CPU microseconds of a poll process per first and per later poll."""
    server = rig.serve(f"growth-{side.name}", DATABASE_URL=side.url)
    requests = rigs.polls(side.units)

    def drive(times: int) -> float:
        load, before = Load(server.port), machine.precise_cpu_s(server.pid)
        window = load.drive(requests * times, PATIENCE_S, [server.pid, rig.redis_pid])
        spent = machine.precise_cpu_s(server.pid) - before
        load.close()
        if set(window.statuses) != {204}:
            raise RuntimeError(f"{side.name} answered {dict(window.statuses)}")
        outcome.foreign.append(window.usage.foreign)
        return spent / window.count * 1e6

    first, again = drive(1), drive(AT_A_STRETCH)
    rig.stop(server.name)
    return {f"{FIRST}, µs": first, f"{CACHED}, µs": again}


def _rows(rig: Rig, side: Side, scale: Scale) -> dict[str, float]:
    facts = {"file": str(side.file), "key": _key(rig), "count": min(scale.signed, len(side.units))}
    return {f"{name}, µs": value for name, value in _ask(rig, side, "times", **facts).items()}


def _judge(
    found: dict[str, dict[str, list[float]]], scans: Sequence[str], scale: Scale, outcome: Outcome
) -> None:
    small, large = (
        {name: median(values) for name, values in found[side].items()} for side in ("small", "large")
    )
    grown = {
        name: median([much / few for few, much in zip(values, found["large"][name], strict=True)])
        for name, values in found["small"].items()
    }
    cached = next(name for name in grown if name.startswith(CACHED))
    outcome.figures.append(
        Figure(
            9,
            f"growth: {FEW:,} → {scale.terminals:,} terminals, 0 → {scale.finished:,} finished commands",
            f"cached poll {number(large[cached])} µs",
            f"{number(small[cached])} µs beside few rows",
            [Bound(name.partition(",")[0], ratio, FLAT, "×", at_most=True) for name, ratio in grown.items()],
            LIMITS[9],
        )
    )
    rows = [[name, number(small[name]), number(large[name]), f"{grown[name]:.2f}×"] for name in grown]
    head = (
        "what",
        f"{FEW:,} terminals, no commands",
        f"{scale.terminals:,} and {scale.finished:,}",
        "growth",
    )
    outcome.tables.append(
        Table(f"Growth (figure 9) on PostgreSQL, medians; {os.environ['BENCH_MADE']}", head, rows)
    )
    if scans:
        outcome.tables.append(Table("Read from end to end", ("plan",), [[line] for line in scans]))


LIMITS = {
    9: "nothing that grows but the depth of six indexes and pages of them that nobody has read for long:"
    " every query ends after a row or two in an index that holds only what is open",
}
