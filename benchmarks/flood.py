"""Figure 10: terminals that are known, alone and beside a flood of bearers that open nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import time
from collections.abc import Sequence

from benchmarks import machine
from benchmarks import rig as rigs
from benchmarks.figures import Bound, Figure, Outcome, Scale, Table, number
from benchmarks.load import quantile
from benchmarks.rig import Rig, Server
from tests.hostile import attacks
from tests.hostile.callers import Callers

UNITS = 200
PER_SECOND = 100
CONNECTIONS = 10
BAD_PER_SECOND = 2000
# The flood stands before anybody is timed, and lasts longer.
AHEAD_S = 0.7
ALONE, BESIDE = "alone", "beside the flood"
SHARES = (0.5, 0.9, 0.99)
# Seconds that the good polls are timed, as a share of those of other figures.
SHARE = 0.75


def measure(rig: Rig, scale: Scale, rounds: int) -> Outcome:
    """Good polls alone and beside the flood in turn, on one server."""
    units, outcome = rig.fleet(UNITS), Outcome()
    server, seconds = rig.serve("flooded"), scale.seconds * SHARE
    good = [rigs.bearer(unit) for unit in units]
    bad = attacks.forged(good[0], int(rounds * BAD_PER_SECOND * (seconds + 2 * AHEAD_S)))
    took: dict[str, list[float]] = {ALONE: [], BESIDE: []}
    answered, used = 0, 0.0
    _polls(server, good, seconds)
    for forged in _parts(bad, rounds):
        meter = machine.Meter([server.pid, rig.redis_pid])
        took[ALONE] += _polls(server, good, seconds)
        with _flood(rig, server, forged, seconds + 2 * AHEAD_S) as flood:
            time.sleep(AHEAD_S)
            before = machine.cpu_s(server.pid)
            took[BESIDE] += _polls(server, good, seconds)
            used += machine.cpu_s(server.pid) - before
            answered += json.loads(flood.communicate()[0])["answered"]
        outcome.foreign.append(meter.read().foreign)
    rig.stop("flooded")
    _judge(took, answered / rounds / (seconds + 2 * AHEAD_S), 100 * used / rounds / seconds, outcome)
    return outcome


def _parts(bad: Sequence[str], count: int) -> list[Sequence[str]]:
    size = len(bad) // count
    return [bad[start : start + size] for start in range(0, size * count, size)]


def _flood(rig: Rig, server: Server, forged: Sequence[str], seconds: float) -> subprocess.Popen[bytes]:
    file = rig.var / "forged.json"
    file.write_text(json.dumps(forged))
    facts = [str(server.port), str(BAD_PER_SECOND), str(seconds), str(file)]
    # It begins on the core of the load, as we do.
    return subprocess.Popen([*rigs.python("tests.hostile.flood"), *facts], stdout=subprocess.PIPE)


def _polls(server: Server, good: Sequence[str], seconds: float) -> list[float]:
    """Seconds that each good poll took."""
    callers = Callers(server.port)
    supply = list(itertools.islice(itertools.cycle(good), int(PER_SECOND * seconds * 2)))
    asyncio.run(callers.run(supply, PER_SECOND, CONNECTIONS, seconds))
    if callers.statuses != {b"204"}:
        raise RuntimeError(f"good polls were answered {callers.statuses}")
    return callers.took


def _judge(took: dict[str, list[float]], rate: float, busy: float, outcome: Outcome) -> None:
    ms = {name: [1000 * quantile(sorted(values), share) for share in SHARES] for name, values in took.items()}
    alone, beside = ms[ALONE], ms[BESIDE]
    outcome.figures.append(
        Figure(
            10,
            f"good polls beside {number(rate)} bad bearers a second",
            f"p50 {number(beside[0])} ms, p99 {number(beside[2])} ms",
            f"p50 {number(alone[0])} ms, p99 {number(alone[2])} ms (alone)",
            [Bound("p99", beside[2] / alone[2], 2, "×", at_most=True)],
            LIMITS[10].format(busy=number(busy)),
        )
    )
    head = ("what", "p50 ms", "p90 ms", "p99 ms")
    rows = [[name, *map(number, values)] for name, values in ms.items()]
    outcome.tables.append(Table("Good polls and a flood (figure 10)", head, rows))


LIMITS = {
    10: "what refusing costs: the flood takes {busy} % of the server's core, and its sender shares the other"
    " with the good polls and Redis",
}
