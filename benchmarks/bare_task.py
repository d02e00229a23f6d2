"""A Celery task that does nothing but say when it ran: the bare hop through the real worker."""

from __future__ import annotations

import os
import socket
import time

from celery import shared_task

_out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


@shared_task(name="benchmarks.hop")
def hop(ident: str) -> None:
    """Send the time to whoever waits for this id."""
    port = int(os.environ["BENCH_REPORT_PORT"])
    _out.sendto(f"{ident} {time.perf_counter_ns()}".encode(), ("127.0.0.1", port))
