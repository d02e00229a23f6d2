"""The processes of an installation: the same command lines run here, in docker-compose.yml and by hand."""

from __future__ import annotations

import os
import sys
from pathlib import Path

QUEUES = "sms,commands,housekeeping"


def web(host: str, port: int) -> list[str]:
    """Pages, terminal API and poll in one ASGI process; behind a proxy that splits them, the poll tier."""
    return [
        *(sys.executable, "-m", "uvicorn", "portal.asgi:application"),
        *("--host", host, "--port", str(port)),
        *("--http", "portal.http:Http", "--ws", "none", "--lifespan", "on"),
        # The client's address is read in one place (portal.network), not rewritten on the way there.
        *("--no-proxy-headers", "--no-server-header", "--no-access-log", "--log-level", "warning"),
        # Longer than a terminal's round: its next poll finds the connection still there.
        *("--timeout-keep-alive", "90"),
        *("--timeout-graceful-shutdown", "2"),
    ]


def worker(concurrency: int = 2) -> list[str]:
    """A Celery worker for all queues; the only process that is told where the signing key lies."""
    return [
        *(sys.executable, "-m", "celery", "-A", "portal.celery", "worker"),
        *("-Q", QUEUES, "-c", str(concurrency), "--without-gossip", "--without-mingle", "-n", "rekey@%h"),
    ]


def beat(schedule: Path) -> list[str]:
    """The one process that calls the sweepers; no pid file, for a stale one would stop the next start."""
    return [
        *(sys.executable, "-m", "celery", "-A", "portal.celery", "beat"),
        *("--pidfile=", "--schedule", str(schedule)),
    ]


def simulator(url: str, state: Path, serial: str) -> list[str]:
    """A till in software, once it is paired."""
    return [
        *(sys.executable, "manage.py", "simulateterminal", "--url", url, "--state", str(state)),
        *("--serial", serial, "--lang", "zh", "--interval-cap", "2"),
    ]


def environment(role: str, issuer_key: Path | None = None) -> dict[str, str]:
    """What a child of the given role inherits; the signing key only when it is handed over here."""
    env = {name: value for name, value in os.environ.items() if name != "REKEY_ISSUER_KEY_FILE"}
    env |= {"REKEY_ROLE": role, "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "portal.settings"}
    if issuer_key is not None:
        env["REKEY_ISSUER_KEY_FILE"] = str(issuer_key)
    return env
