"""Inside the worker: a task that only says when it ran, and word of when a delivery's turn came."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from celery import Task, shared_task
from celery.signals import task_prerun

_out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


@shared_task(name="benchmarks.hop")
def hop(ident: str) -> None:
    """Send the time to whoever waits for this id."""
    _say(ident)


@task_prerun.connect
def begins(task: Task[..., Any], args: tuple[Any, ...] = (), **_: Any) -> None:
    """The hop alone that this delivery took: from here on it is our work."""
    if task.name == "terminals.tasks.deliver":
        _say(str(args[0]))


def _say(ident: str) -> None:
    port = int(os.environ["BENCH_REPORT_PORT"])
    _out.sendto(f"{ident} {time.perf_counter_ns()}".encode(), ("127.0.0.1", port))
