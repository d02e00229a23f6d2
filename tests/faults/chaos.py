"""Things that go wrong on purpose, at fixed times, until told to stop."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import redis

from tests.stack import Stack


class Chaos:
    """Runs a fault every so many seconds in a thread of its own and counts how often it did."""

    def __init__(self, name: str, every_s: float, fault: Callable[[], bool]) -> None:
        self.name = name
        self.count = 0
        self._every_s = every_s
        self._fault = fault
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.count += self._fault()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the last one."""
        self._stop.set()
        self._thread.join()


def flush(stack: Stack) -> Callable[[], bool]:
    """Wipe everything that is in Redis."""
    client = stack.redis(socket_timeout=5)

    def fault() -> bool:
        with suppress(redis.RedisError):
            return bool(client.flushall())
        return False

    return fault


def kill_worker_child(stack: Stack) -> Callable[[], bool]:
    """`kill -9` one of the worker's children, whatever it is doing."""

    def fault() -> bool:
        with suppress(ProcessLookupError, IndexError):
            os.kill(random.choice(stack.offspring("worker")), signal.SIGKILL)
            return True
        return False

    return fault


@contextmanager
def going_on(*faults: Chaos) -> Iterator[None]:
    """All of them, for as long as the block lasts."""
    for fault in faults:
        fault.start()
    try:
        yield
    finally:
        for fault in faults:
            fault.stop()
