"""The real processes, as `make run` starts them, in a state folder of their own."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psutil
import psycopg
import redis

from portal import redis_server
from portal.supervisor import ground, parts
from portal.supervisor.child import Child

ROOT = Path(__file__).parents[1]
PORTS = range(18600, 18800)
READY_WITHIN_S = 60
# A server to test against instead of SQLite; a database of the stack's own is made on it.
DATABASE = "REKEY_STACK_DATABASE"
# What this process was told must not leak into the stack.
OURS = frozenset(
    "DATABASE_URL REDIS_URL REKEY_ISSUER_KEY_FILE REKEY_ROLE DEBUG SECRET_KEY REKEY_PEPPER REKEY_FIELD_KEY "
    "REKEY_TEST_VAR".split()
)


@dataclass
class Stack:
    """Redis, web, worker and beat, and how to talk to them."""

    var: Path
    port: int
    env: dict[str, str]
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Where the web answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def logs(self) -> Path:
        """The folder with one file per process."""
        return self.var / "log"

    def pid(self, name: str) -> int:
        """The process id of a child."""
        process = self.children[name].process
        assert process is not None, name
        return process.pid

    def offspring(self, name: str) -> list[int]:
        """The process ids of what a child has forked."""
        try:
            return [one.pid for one in psutil.Process(self.pid(name)).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def redis(self, **options: Any) -> redis.Redis:
        """A client of the stack's Redis."""
        return redis.Redis.from_url(redis_server.redis_url(self.var), **options)

    def start(self, name: str, command: list[str], **env: str) -> Child:
        """Start one more process whose output goes to the logs."""
        child = Child(name, command, {**self.env, **env}, self.logs / f"{name}.log", grace_s=5)
        self.children[name] = child
        child.start()
        return child

    def run(self, *command: str) -> str:
        """Run a Python command of ours to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, *command],
            env=self.env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def manage(self, *arguments: str) -> str:
        """`manage.py` with the stack's settings."""
        return self.run("manage.py", *arguments)

    def office(self, verb: str, **facts: Any) -> Any:
        """Do something in the back office beside the running stack; see tests/office.py."""
        return json.loads(self.run("-m", "tests.office", verb, json.dumps(facts)))

    def wait_ready(self) -> None:
        """Return when everything that a reset needs is there."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            for child in self.children.values():
                assert child.alive, f"{child.name} ended:\n{child.last_lines(30)}"
            assert time.monotonic() < deadline, self.last_words()
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.origin}/readyz", timeout=3).status_code == 200
        except httpx.HTTPError:
            return False

    def last_words(self) -> str:
        """The ends of all logs, for a failure message."""
        return "\n".join(f"── {name}\n{child.last_lines(15)}" for name, child in self.children.items())

    def stop(self) -> None:
        """End every process, last started first."""
        for child in reversed(self.children.values()):
            child.stop()


def free_port() -> int:
    """A port of ours that nobody listens on."""
    # In no order: another run on this machine looks for one as well.
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise RuntimeError("no free port")


def environment(var: Path, port: int, extra: Mapping[str, str]) -> dict[str, str]:
    """What every process of the stack is told."""
    env = {name: value for name, value in os.environ.items() if name not in OURS}
    return env | {
        "REKEY_VAR": str(var),
        "PORT": str(port),
        "REKEY_ORIGIN": f"http://127.0.0.1:{port}",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "REKEY_DEMO": "1",
        # One address asks for many texts here.
        "REKEY_PUZZLE_BITS": "0",
        "SMS_GATEWAY": "console",
        "REKEY_STATICFILES": "django.contrib.staticfiles.storage.StaticFilesStorage",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(ROOT),
        "LOG_LEVEL": "INFO",
        **extra,
    }


@contextmanager
def running(var: Path, **extra: str) -> Iterator[Stack]:
    """A stack that is ready; `extra` are further environment variables. Everything ends with the block."""
    port = free_port()
    with _database() as url:
        ground.prepare(var)
        stack = Stack(var, port, environment(var, port, {**({"DATABASE_URL": url} if url else {}), **extra}))
        try:
            _start(stack)
            yield stack
        finally:
            stack.stop()


def _start(stack: Stack) -> None:
    redis_server.socket_path(stack.var).unlink(missing_ok=True)
    (stack.var / "static").mkdir(exist_ok=True)
    stack.start("redis", redis_server.server_command(stack.var))
    stack.manage("migrate", "--verbosity", "0")
    stack.manage("issuerkeys", "init")
    key = str(stack.var / "issuer" / "signing.jwk")
    stack.start("worker", parts.worker(), REKEY_ROLE="worker", REKEY_ISSUER_KEY_FILE=key)
    stack.start("beat", parts.beat(stack.var / "beat"), REKEY_ROLE="beat")
    stack.start("web", parts.web("127.0.0.1", stack.port), REKEY_ROLE="web")
    stack.wait_ready()


@contextmanager
def _database() -> Iterator[str]:
    """The URL of a fresh database on the server that was named, or nothing for SQLite."""
    server = os.environ.get(DATABASE, "")
    if not server:
        yield ""
        return
    name = f"rekey_stack_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
