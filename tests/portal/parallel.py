"""Many callers at the same moment, each with a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def in_parallel(times: int, work: Callable[[], T], width: int = 25) -> list[T]:
    """Run `work` so often from `width` threads that start together; what each returned."""
    gate = threading.Barrier(min(times, width))
    waited = threading.local()

    def one(_: int) -> T:
        if not getattr(waited, "done", False):
            waited.done = True
            gate.wait()
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(min(times, width)) as pool:
        return list(pool.map(one, range(times)))


def at_once(*work: Callable[[], T]) -> list[T]:
    """Run these different things at the same moment, each in a thread of its own; what each returned."""
    left = list(work)

    def one() -> T:
        return left.pop()()

    return in_parallel(len(left), one, len(left))
