"""The installation under test: Redis, a database, terminals in it, and servers pinned to their cores."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import django

django.setup()

import psutil  # noqa: E402 - Django has to be set up first
import redis  # noqa: E402 - Django has to be set up first
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402

from benchmarks import load, machine  # noqa: E402
from portal import redis_server  # noqa: E402
from portal.supervisor import parts  # noqa: E402
from portal.supervisor.child import Child  # noqa: E402
from terminals import inbox  # noqa: E402
from terminals.fleet.unit import Unit  # noqa: E402
from terminals.life.provisioning import register  # noqa: E402
from terminals.protocol import PATH  # noqa: E402

PORTS = range(18800, 18900)
READY_WITHIN_S = 30.0
POLL = f"{PATH}/commands?wait=0&max=4"
TELEMETRY = 'pv=1, fw="4.2.1", bat=83, chg=?1, hwm=0, ks=1, batch=?0, idle=?1'


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers HTTP."""

    name: str
    port: int
    pid: int


@dataclass(slots=True)
class Rig:
    """What runs, and how to start more of it."""

    var: Path
    cores: machine.Cores
    children: list[Child] = field(default_factory=list)
    redis_pid: int = 0
    units: list[Unit] = field(default_factory=list)
    _ports: Iterator[int] = field(default_factory=lambda: iter(PORTS))

    def start(self, name: str, command: list[str], core: int, **env: str) -> int:
        """Start a process on a core; its process id."""
        child = Child(name, command, {**os.environ, **env}, self.var / f"{name}.log")
        child.start()
        self.children.append(child)
        assert child.process is not None
        machine.pin(child.process.pid, core)
        return child.process.pid

    def serve(
        self,
        name: str,
        application: str = "portal.asgi:application",
        options: Sequence[str] = (),
        **env: str,
    ) -> Server:
        """A uvicorn on the server's core, with the product's options and perhaps others, ready to answer."""
        port = next(port for port in self._ports if not _answers(port))
        command = [application if a == "portal.asgi:application" else a for a in parts.web("127.0.0.1", port)]
        command += options
        pid = self.start(name, command, self.cores.server, REKEY_ROLE="poll", **env)
        deadline = time.monotonic() + READY_WITHIN_S
        while not _listens(pid, port):
            if not self.children[-1].alive or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start:\n{self.children[-1].last_lines(30)}")
            time.sleep(0.05)
        return Server(name, port, pid)

    def fleet(self, count: int) -> list[Unit]:
        """So many active terminals in the database, and their keys; the same ones each time."""
        missing = range(len(self.units), count)
        self.units += register([f"B{number:07}" for number in missing])
        return self.units[:count]

    def redis(self) -> redis.Redis:
        """A client of the installation's Redis."""
        return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=None)

    def stop(self, name: str = "") -> None:
        """End the process of this name, or all of them, last started first."""
        for child in [child for child in reversed(self.children) if name in ("", child.name)]:
            child.stop()
            self.children.remove(child)


def _listens(pid: int, port: int) -> bool:
    """Whether it is this process that listens there, and not somebody who was there before."""
    try:
        sockets = psutil.Process(pid).net_connections("tcp4")
    except psutil.NoSuchProcess:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets)


def _answers(port: int) -> bool:
    try:
        load.connect(port).close()
    except OSError:
        return False
    return True


@contextmanager
def running() -> Iterator[Rig]:
    """Redis and a migrated database in the folder REKEY_VAR names; everything ends with the block."""
    rig = Rig(settings.REKEY_VAR, machine.cores())
    machine.pin(os.getpid(), rig.cores.load)
    try:
        rig.redis_pid = rig.start("redis", redis_server.server_command(rig.var), rig.cores.load)
        while not redis_server.answers(rig.var):
            time.sleep(0.02)
        call_command("migrate", verbosity=0, interactive=False)
        call_command("issuerkeys", "init", verbosity=0)
        inbox.rebuild(lambda: None)
        yield rig
    finally:
        rig.stop()


def python(module: str) -> list[str]:
    """The command line of a module of ours."""
    return [sys.executable, "-m", module]


def bearer(unit: Unit) -> str:
    """A bearer of the terminal, valid from now on."""
    return unit.bearer(settings.REKEY_ORIGIN, int(time.time()))[0]


def polls(units: Sequence[Unit], path: str = POLL) -> list[bytes]:
    """One poll of each terminal, each with a new bearer."""
    return [
        load.get(path, Authorization=f"Bearer {bearer(unit)}", Rekey_Telemetry=TELEMETRY) for unit in units
    ]
