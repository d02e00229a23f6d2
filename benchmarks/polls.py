"""Figures 1 to 3: the cached poll, the same work in Django, and bearers that are met for the first time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks import rig as rigs
from benchmarks.figures import Bound, Figure, Outcome, Scale, Table, median, middle, number
from benchmarks.load import Load, Window, rotating
from benchmarks.rig import Rig, Server

WARM_S = 0.3
TURNS = 3
PATIENCE_S = 120.0
CEILING, STOCK, PRODUCT = "ceiling", "ceiling, uvicorn's own HTTP", "poll, cached"
KNOWN, UNSEEN = "poll, new bearer", "poll, first contact"
ASYNC, SYNC, WSGI = "Django async view", "Django sync view, ASGI", "Django sync view, WSGI"
PEERS = {"DJANGO_SETTINGS_MODULE": "benchmarks.peer_settings"}
HEAD = (
    "what", "req/s", "CPU µs/req", "of the ceiling", "p50 ms", "p99 ms",
    "Redis µs/req", "load µs/req", "load's core busy", "foreign cores",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, and what to ask it; `endless` requests are repeated for as long as a window lasts.

    Those that are `close` to each other take turns more often, for less of what is between them is noise.
    """

    name: str
    server: Server
    requests: Callable[[], list[bytes]]
    endless: bool = True
    close: bool = False


def measure(rig: Rig, scale: Scale, rounds: int) -> Outcome:
    """All rows in turn, round after round."""
    contenders = _contenders(rig, scale, rounds)
    windows: dict[str, list[Window]] = defaultdict(list)
    for _ in range(rounds):
        for _ in range(TURNS):
            for contender in filter(lambda one: one.close, contenders):
                windows[contender.name].append(_window(rig, contender, scale.seconds / TURNS))
        for contender in filter(lambda one: not one.close, contenders):
            windows[contender.name].append(_window(rig, contender, scale.seconds))
    pids = {contender.name: contender.server.pid for contender in contenders}
    outcome = _judge(rig, windows, pids)
    for name in {contender.server.name for contender in contenders}:
        rig.stop(name)
    return outcome


def _contenders(rig: Rig, scale: Scale, rounds: int) -> list[Contender]:
    strange = scale.cold // 4
    units = rig.fleet(scale.rotation + rounds * strange)
    strangers = iter(units[scale.rotation :])
    units = units[: scale.rotation]
    requests = rigs.polls(units)
    # Nobody limits how often the views are asked, so they need not meet as many bearers.
    few = requests[: scale.few]
    ceiling = rig.serve("ceiling", "benchmarks.ceiling:application")
    stock = rig.serve("stock", "benchmarks.ceiling:application", ("--http", "httptools"))
    product = rig.serve("product")
    django = rig.serve("django-asgi", "benchmarks.peer_server:asgi", **PEERS)
    options = ("--interface", "wsgi", "--lifespan", "off")
    wsgi = rig.serve("django-wsgi", "benchmarks.peer_server:wsgi", options, **PEERS)
    # Everybody meets the bearers once before anything is counted.
    for server, met in ((product, requests), (django, _at(few, "/async")), (wsgi, _at(few, "/sync"))):
        _drive(server, met, PATIENCE_S)

    def new_bearers() -> list[bytes]:
        return rigs.polls([units[number % len(units)] for number in range(scale.cold)])

    def strange_bearers() -> list[bytes]:
        return rigs.polls([next(strangers) for _ in range(strange)])

    return [
        Contender(CEILING, ceiling, lambda: requests, close=True),
        Contender(PRODUCT, product, lambda: requests, close=True),
        Contender(STOCK, stock, lambda: requests),
        Contender(SYNC, django, lambda: _at(few, "/sync")),
        Contender(WSGI, wsgi, lambda: _at(few, "/sync")),
        Contender(ASYNC, django, lambda: _at(few, "/async")),
        Contender(KNOWN, product, new_bearers, endless=False),
        Contender(UNSEEN, product, strange_bearers, endless=False),
    ]


def _at(requests: list[bytes], path: str) -> list[bytes]:
    return [request.replace(rigs.POLL.encode(), path.encode()) for request in requests] if path else requests


def _drive(server: Server, requests: Iterable[bytes], seconds: float, *pids: int) -> Window:
    load = Load(server.port)
    try:
        return load.drive(requests, seconds, pids)
    finally:
        load.close()


def _window(rig: Rig, contender: Contender, seconds: float) -> Window:
    requests, server = contender.requests(), contender.server
    pids = (server.pid, rig.redis_pid)
    if contender.endless:
        _drive(server, rotating(requests), min(WARM_S, seconds))
        window = _drive(server, rotating(requests), seconds, *pids)
    else:
        window = _drive(server, requests, PATIENCE_S, *pids)
    if set(window.statuses) != {204}:
        raise RuntimeError(f"{contender.name} answered {dict(window.statuses)}")
    return window


def _judge(rig: Rig, windows: dict[str, list[Window]], pids: dict[str, int]) -> Outcome:
    def cost(name: str) -> list[float]:
        return [window.per_request_us(pids[name]) for window in windows[name]]

    def share(name: str, of: str = CEILING) -> float:
        """How much of the other's pace this reaches: turn by turn if both take as many, else by medians."""
        ours, theirs = cost(name), cost(of)
        if len(ours) == len(theirs):
            return median([their / our for our, their in zip(ours, theirs, strict=True)])
        return median(theirs) / median(ours)

    def words(name: str) -> str:
        return f"{number(median(cost(name)))} µs"

    sync = SYNC if median(cost(SYNC)) < median(cost(WSGI)) else WSGI
    figures = [
        Figure(
            1,
            "cached idle poll, full product code",
            words(PRODUCT),
            f"{words(CEILING)} (bare ASGI + GET)",
            [Bound("of the ceiling", 100 * share(PRODUCT), 80, " %")],
            LIMITS[1],
        ),
        Figure(
            2,
            "the same work as a Django view",
            words(PRODUCT),
            f"sync {words(sync)}, async {words(ASYNC)}",
            [
                Bound("faster than sync", share(PRODUCT, sync), 7, "×"),
                Bound("than async", share(PRODUCT, ASYNC), 20, "×"),
            ],
            LIMITS[2],
        ),
        Figure(
            3,
            "cold bearer, each verified",
            f"{words(KNOWN)} (first contact {words(UNSEEN)})",
            words(CEILING),
            [Bound("of the ceiling", 100 * share(KNOWN), 12, " %")],
            LIMITS[3],
        ),
    ]
    rows = [_row(rig, name, found, pids[name], share(name)) for name, found in windows.items()]
    foreign = [window.usage.foreign for found in windows.values() for window in found]
    return Outcome(figures, [Table("Polls (figures 1 to 3), medians", HEAD, rows)], foreign)


def _row(rig: Rig, name: str, windows: list[Window], pid: int, share: float) -> list[str]:
    def busy(window: Window) -> float:
        """How much of the load's core is in use; near 1 it would be what limits."""
        return (window.usage.own + window.usage.of[rig.redis_pid]) / window.usage.seconds

    return [
        name,
        number(middle(windows, lambda w: w.rate)),
        number(middle(windows, lambda w: w.per_request_us(pid))),
        f"{100 * share:.1f} %",
        number(middle(windows, lambda w: w.ms(0.5))),
        number(middle(windows, lambda w: w.ms(0.99))),
        number(middle(windows, lambda w: w.per_request_us(rig.redis_pid))),
        number(middle(windows, lambda w: w.usage.own / w.count * 1e6)),
        f"{100 * middle(windows, busy):.0f} %",
        number(max(w.usage.foreign for w in windows)),
    ]


LIMITS = {
    1: "the interpreter: some 15 calls of Python a poll; no task and no messages, which the ceiling has",
    2: "Django: a thread or a task and some signals a request, before our own work begins",
    3: "one Ed25519 check by libsodium and strict reading; first contact adds a share of a query",
}
