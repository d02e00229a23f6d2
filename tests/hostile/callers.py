"""Terminals that poll at a steady rate, and how long each answer takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

POLL = b"GET /terminal/v1/commands HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b\r\n\r\n"


@dataclass
class Callers:
    """Kept-alive connections that poll at a rate, and how long each answer took (seconds)."""

    port: int
    took: list[float] = field(default_factory=list)
    statuses: set[bytes] = field(default_factory=set)

    async def run(self, bearers: list[str], per_second: float, connections: int, seconds: float) -> None:
        """Poll with each bearer in turn, evenly spread over the time."""
        supply = iter(bearers)
        gap = connections / per_second
        await asyncio.gather(
            *(self._one(supply, gap, number * gap / connections, seconds) for number in range(connections))
        )

    async def _one(self, supply: Iterator[str], gap: float, offset: float, seconds: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        async for bearer in paced(supply, gap, offset, seconds):
            began = time.perf_counter()
            writer.write(POLL % bearer.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            if length:
                await reader.readexactly(int(length))
            self.took.append(time.perf_counter() - began)
            self.statuses.add(head.split(b" ", 2)[1])
        writer.close()

    def p(self, share: float) -> float:
        """A quantile, in milliseconds."""
        ordered = sorted(self.took)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

    def spread(self) -> str:
        """Median and 99th percentile, for people."""
        return f"{self.p(0.5):.1f}/{self.p(0.99):.1f} ms"


async def paced(supply: Iterator[str], gap: float, offset: float, seconds: float) -> AsyncIterator[str]:
    """One after the other at its time; late ones at once, until time is up."""
    began = time.monotonic()
    due = began + offset
    for one in supply:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if time.monotonic() - began > seconds:
            return
        yield one
        due += gap
