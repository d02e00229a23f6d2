"""Figures 4, 5 and 7: terminals that wait for news, how fast it reaches them, what they cost in Redis."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from benchmarks import load, machine
from benchmarks import rig as rigs
from benchmarks.figures import Bound, Figure, Outcome, Scale, Table, median, number
from benchmarks.rig import Rig, Server
from terminals import inbox
from terminals.fleet.unit import Unit
from terminals.protocol import PATH, new_id

WAIT = 55
SETTLE_S = 0.5
PATIENCE_S = 10.0
QUIET_SHARE = 0.2
# Before each push and each hop: whatever the one before left to do, such as a poll to hold again, is done.
APART_S = 0.005
# A signed command with a sealed password is about this long.
TOKEN = "t" * 1500
KIB = 1024


@dataclass(slots=True)
class Held:
    """Connections that each hold one poll."""

    units: Sequence[Unit]
    requests: Sequence[bytes]
    sockets: list[socket.socket]

    def ask(self, index: int) -> None:
        """Have one terminal poll, and wait, again."""
        self.sockets[index].sendall(self.requests[index])

    def close(self) -> None:
        """Hang up, all of them."""
        for connection in self.sockets:
            connection.close()


def measure(rig: Rig, scale: Scale, rounds: int) -> Outcome:
    """One process with nothing else to do holds them all."""
    units = rig.fleet(scale.held)
    server = rig.serve("held")
    rig.start("bare-hop", rigs.python("benchmarks.bare_hop"), rig.cores.server)
    in_redis = _redis_cost(rig, server, units)
    before = machine.rss(server.pid), machine.threads(server.pid)
    held = _hold(server, units)
    try:
        outcome = _standing(server, before, scale)
        outcome.figures.append(in_redis)
        _arriving(rig, held, rounds, scale, outcome)
    finally:
        held.close()
    rig.stop("held")
    rig.stop("bare-hop")
    return outcome


def _redis_cost(rig: Rig, server: Server, units: Sequence[Unit]) -> Figure:
    """What is in Redis for a terminal that has polled and has nothing waiting."""
    client = rig.redis()
    before = client.info("memory")["used_memory"]
    first = load.Load(server.port)
    answers = first.drive(rigs.polls(units), 120).statuses
    first.close()
    if set(answers) != {204}:
        raise RuntimeError(f"first polls were answered {dict(answers)}")
    time.sleep(SETTLE_S)
    grown = max(0, client.info("memory")["used_memory"] - before) / len(units)
    named = sum(client.memory_usage(key) or 0 for key in client.scan_iter("*{trm_*", count=1000)) / len(units)
    return Figure(
        7,
        "idle terminal's cost in Redis",
        f"{number(grown)} B of used memory, {number(named)} B in keys of its own",
        "–",
        [Bound("bytes each", max(grown, named), KIB, " B", at_most=True)],
        LIMITS[7],
    )


def _hold(server: Server, units: Sequence[Unit]) -> Held:
    """Connect and poll for every terminal; returns once the server has nothing left to do."""
    requests = rigs.polls(units, f"{PATH}/commands?wait={WAIT}&max=4")
    # Verified beforehand, so that what is measured is holding and not verifying.
    first = load.Load(server.port)
    first.drive([request.replace(b"wait=%d" % WAIT, b"wait=0") for request in requests], 120)
    first.close()
    held = Held(units, requests, [])
    for index in range(len(units)):
        held.sockets.append(load.connect(server.port))
        held.ask(index)
    used = machine.cpu_s(server.pid)
    while True:
        time.sleep(SETTLE_S)
        now = machine.cpu_s(server.pid)
        if now - used < QUIET_SHARE * SETTLE_S:
            return held
        used = now


def _standing(server: Server, before: tuple[int, int], scale: Scale) -> Outcome:
    grown = (machine.rss(server.pid) - before[0]) / scale.held / KIB
    used = machine.precise_cpu_s(server.pid)
    time.sleep(scale.idle_s)
    idle = 100 * (machine.precise_cpu_s(server.pid) - used) / scale.idle_s
    figure = Figure(
        4,
        f"held long polls, {scale.held:,} on one process",
        f"{number(grown)} KiB each, {number(idle)} % CPU",
        "–",
        [
            Bound("RSS each", grown, 16, " KiB", at_most=True),
            Bound("extra threads", machine.threads(server.pid) - before[1], 0, at_most=True),
            Bound("CPU idle", idle, 1, " %", at_most=True),
        ],
        LIMITS[4],
    )
    return Outcome([figure])


def _arriving(rig: Rig, held: Held, rounds: int, scale: Scale, outcome: Outcome) -> None:
    pushes: list[float] = []
    hops: list[float] = []
    client = rig.redis()
    for _ in range(rounds):
        meter = machine.Meter([])
        for _ in range(scale.pushes):
            time.sleep(APART_S)
            pushes.append(_push(held, random.randrange(len(held.units))))
            time.sleep(APART_S)
            hops.append(_hop(client))
        outcome.foreign.append(meter.read().foreign)
    ratio = median(pushes) / median(hops)
    outcome.figures.append(
        Figure(
            5,
            f"push → held terminal's response, {scale.held:,} held",
            f"p50 {number(median(pushes))} ms",
            f"p50 {number(median(hops))} ms (a bare BLPOP hop)",
            [Bound("p50", ratio, 3, "×", at_most=True)],
            LIMITS[5],
        )
    )
    rows = [[name, *_spread(values)] for name, values in (("push → response", pushes), ("bare hop", hops))]
    outcome.tables.append(
        Table("Pushes (figure 5), one at a time", ("what", "p50 ms", "p90 ms", "p99 ms"), rows)
    )


def _spread(values: Sequence[float]) -> list[str]:
    ascending = sorted(values)
    return [number(load.quantile(ascending, share)) for share in (0.5, 0.9, 0.99)]


def _push(held: Held, index: int) -> float:
    """Put a token into an inbox whose terminal waits; milliseconds until the answer is here."""
    terminal, connection = held.units[index].tid, held.sockets[index]
    item = inbox.Item(new_id("tok"), 1, new_id("cmd"), TOKEN)
    began = time.perf_counter()
    inbox.push(terminal, [item])
    answer = load.receive(connection, PATIENCE_S)
    took = (time.perf_counter() - began) * 1000
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"a held poll was answered {answer[:40]!r}")
    inbox.drop(terminal, [item.jti])
    held.ask(index)
    return took


def _hop(client: redis.Redis) -> float:
    """Milliseconds from a push here until a process that waits on the server's core has it."""
    client.lpush("bench:hop", time.perf_counter_ns())
    found = client.blpop(["bench:hop:took"], 10)
    assert isinstance(found, tuple)
    return int(found[1]) / 1e6


LIMITS = {
    4: "socket and HTTP parser of each connection; two remembered bearers each are in it",
    5: "three wakings of a process, the bare hop has two: Redis, poll, terminal; news bring the inbox along",
    7: "one member of a hash with what the terminal said last; an empty inbox is no key at all",
}
