"""A fleet at work in one process: paired, started over a span of time, counted each second, stopped."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from terminals.fleet.figures import HEAD, Figures
from terminals.fleet.member import Member
from terminals.fleet.shared import Shared
from terminals.fleet.unit import Unit

# Files that a process has open besides its connections.
OTHER_FILES: Final = 200
PAGE: Final = 20
START_S: Final = 10.0


class TooManyFiles(OSError):
    """The system does not allow this process so many connections; the text says what to do."""


def allow_connections(count: int) -> None:
    """Let this process open so many connections. Raises TooManyFiles."""
    wanted = count + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (ValueError, OSError):
        raise TooManyFiles(
            f"{count:,} terminals need {wanted:,} open files and this system allows {hard:,}. "
            f"Run at most {max(0, hard - OTHER_FILES):,} terminals, or raise the limit: ulimit -Hn {wanted}"
        ) from None


async def run(
    units: Sequence[Unit],
    shared: Shared,
    *,
    seconds: float | None = None,
    say: Callable[[str], None] = print,
    start_s: float = START_S,
) -> Figures:
    """Let the terminals live for so many seconds, or until interrupted; a line a second goes to `say`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError, RuntimeError):  # only the main thread is told of signals
            loop.add_signal_handler(number, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    # In turn over the whole span, so that a fleet that starts is no crowd.
    step = start_s / max(1, len(units))
    lives = [asyncio.create_task(Member(unit, shared).live(n * step)) for n, unit in enumerate(units)]
    await _watch(shared.figures, stop, say)
    for life in lives:
        life.cancel()
    ends = await asyncio.gather(*lives, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            shared.figures.errors[f"{type(end).__name__} {end}"] += 1
    return shared.figures


async def _watch(figures: Figures, stop: asyncio.Event, say: Callable[[str], None]) -> None:
    lines = 0
    while not stop.is_set():
        polls, began = figures.polls, time.monotonic()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1)
        if lines % PAGE == 0:
            say(HEAD)
        lines += 1
        say(figures.line((figures.polls - polls) / (time.monotonic() - began)))
