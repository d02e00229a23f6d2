"""A flood of bad bearers, from a process of its own: `… -m tests.hostile.flood PORT RATE SECONDS FILE`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.hostile.callers import Callers

CONNECTIONS = 40


def main(port: str, rate: str, seconds: str, file: str) -> None:
    """Send the bearers of the file, and tell how many were answered with what."""
    callers = Callers(int(port))
    asyncio.run(callers.run(json.loads(Path(file).read_text()), float(rate), CONNECTIONS, float(seconds)))
    statuses = sorted(status.decode() for status in callers.statuses)
    print(json.dumps({"answered": len(callers.took), "statuses": statuses}))


if __name__ == "__main__":
    main(*sys.argv[1:])
