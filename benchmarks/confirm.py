"""Figure 6: from the merchant's confirm through Celery to the terminal's hands, beside a bare Celery hop."""

from __future__ import annotations

import secrets
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import transaction

from benchmarks import load, machine
from benchmarks import rig as rigs
from benchmarks.figures import Bound, Figure, Outcome, Scale, Table, number
from benchmarks.rig import Rig
from portal.celery import app
from portal.supervisor import parts
from terminals.commands import issue
from terminals.fleet.unit import Unit
from terminals.life.provisioning import OPERATOR
from terminals.models import Terminal
from terminals.protocol import PATH, SET_CREDENTIAL

WAIT = 55
PATIENCE_S = 15.0
PAUSE_S = 0.01
SETTLE_S = 0.5
WARM_UP = 10
SHARES = (0.5, 0.9, 0.99)
TASK = "benchmarks.hop"
QUEUE = "commands"


@dataclass(slots=True)
class Spans:
    """Milliseconds of everything that was timed."""

    hops: list[float] = field(default_factory=list)
    own_hops: list[float] = field(default_factory=list)
    from_commit: list[float] = field(default_factory=list)
    from_confirm: list[float] = field(default_factory=list)


def measure(rig: Rig, scale: Scale, rounds: int) -> Outcome:
    """Bare hops and confirmed commands in turn, one at a time, through one prefork worker."""
    units = rig.fleet(rounds * scale.hops + WARM_UP)
    reports = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reports.bind(("127.0.0.1", 0))
    app.conf.task_routes = {**app.conf.task_routes, TASK: {"queue": QUEUE}}
    server = rig.serve("confirm")
    rig.start(
        "worker",
        [*parts.worker(), "-I", "benchmarks.bare_task"],
        rig.cores.server,
        REKEY_ROLE="worker",
        REKEY_ISSUER_KEY_FILE=str(rig.var / "issuer" / "signing.jwk"),
        BENCH_REPORT_PORT=str(reports.getsockname()[1]),
    )
    outcome, spans = Outcome(), Spans()
    _round(units[-WARM_UP:], server.port, reports, Spans())
    for number_ in range(rounds):
        meter = machine.Meter([])
        _round(units[number_ * scale.hops :][: scale.hops], server.port, reports, spans)
        outcome.foreign.append(meter.read().foreign)
    reports.close()
    rig.stop("worker")
    rig.stop("confirm")
    _judge(spans, outcome)
    return outcome


def _round(units: Sequence[Unit], port: int, reports: socket.socket, spans: Spans) -> None:
    """For each terminal, which waits already, a bare hop and a confirmed command, one after the other."""
    requests = rigs.polls(units, f"{PATH}/commands?wait={WAIT}&max=4")
    connections = [load.connect(port) for _ in units]
    for connection, request in zip(connections, requests, strict=True):
        connection.sendall(request)
    time.sleep(SETTLE_S)
    for unit, connection in zip(units, connections, strict=True):
        spans.hops.append(_hop(reports))
        time.sleep(PAUSE_S)
        _confirmed(unit, connection, reports, spans)
        time.sleep(PAUSE_S)
        connection.close()


def _hop(reports: socket.socket) -> float:
    """Milliseconds from asking for the bare task, as Celery asks, until its first line runs."""
    ident, began = secrets.token_hex(6), time.perf_counter_ns()
    app.send_task(TASK, args=(ident,), retry=False)
    return (_heard(reports, ident) - began) / 1e6


def _heard(reports: socket.socket, ident: str) -> int:
    """When the worker says that it came to this."""
    while select.select([reports], [], [], PATIENCE_S)[0]:
        said, at = reports.recv(100).split()
        if said.decode() == ident:
            return int(at)
    raise TimeoutError("the worker did not come to it")


def _confirmed(unit: Unit, connection: socket.socket, reports: socket.socket, spans: Spans) -> None:
    """Until a waiting terminal has the token, from the confirm and from its commit; and its hop alone."""
    terminal = Terminal.objects.get(pk=unit.tid)
    committed: list[int] = []
    began = time.perf_counter_ns()
    with transaction.atomic():
        transaction.on_commit(lambda: committed.append(time.perf_counter_ns()))
        command = issue(
            terminal,
            SET_CREDENTIAL,
            operator_number=OPERATOR,
            sealed_password="827164",
            requested_by="bench",
        )
    answer = load.receive(connection, PATIENCE_S)
    ended = time.perf_counter_ns()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the terminal was answered {answer[:40]!r}")
    spans.from_confirm.append((ended - began) / 1e6)
    spans.from_commit.append((ended - committed[0]) / 1e6)
    spans.own_hops.append((_heard(reports, command.pk) - committed[0]) / 1e6)


def _judge(spans: Spans, outcome: Outcome) -> None:
    rows = [
        ("bare Celery hop", spans.hops),
        ("the delivery's own hop", spans.own_hops),
        ("commit → token in hand", spans.from_commit),
        ("confirm → token in hand", spans.from_confirm),
    ]
    quantiles = {name: [load.quantile(sorted(values), share) for share in SHARES] for name, values in rows}
    hop, _own, commit, _confirm = quantiles.values()
    outcome.figures.append(
        Figure(
            6,
            "merchant's confirm → token in the terminal's hands, through Celery",
            f"p50 {number(commit[0])} ms, p99 {number(commit[2])} ms",
            f"p50 {number(hop[0])} ms, p99 {number(hop[2])} ms (a bare Celery hop)",
            [
                Bound("p50", commit[0] / hop[0], 1.5, "×", at_most=True),
                Bound("p99", commit[2] / hop[2], 2, "×", at_most=True),
            ],
            LIMITS[6],
        )
    )
    head = ("what", "p50 ms", "p90 ms", "p99 ms")
    table = [[name, *map(number, values)] for name, values in quantiles.items()]
    outcome.tables.append(Table("Confirm to terminal (figure 6), one at a time", head, table))


LIMITS = {
    6: "after a hop that a prepared nudge makes shorter than Celery's own: number, sign and store in one "
    "transaction, push, and figure 5, all on one core",
}
