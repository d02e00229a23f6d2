"""A flood of bad bearers, from a process of its own: `… -m tests.hostile.flood PORT RATE SECONDS FILE`.

It shares a core with those whose time is measured, so it does as little as a sender can: raw sockets, one
request at a time on each, one every so many microseconds and none in bursts.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
from collections import Counter, deque
from pathlib import Path

from tests.hostile.callers import POLL

CONNECTIONS = 40
LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)", re.IGNORECASE)


class Flood:
    """Kept-alive connections, those that are free, and how often which status came back."""

    def __init__(self, port: int) -> None:
        self._free = deque(socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS))
        self._heard: dict[socket.socket, bytes] = {}
        self.statuses: Counter[str] = Counter()
        for connection in self._free:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self, requests: list[bytes], per_second: float, seconds: float) -> None:
        """Send one after the other, each at its time or as soon after it as a connection is free."""
        began, sent = time.perf_counter(), 0
        while (now := time.perf_counter() - began) < seconds and sent < len(requests):
            if self._free and sent / per_second <= now:
                connection = self._free.popleft()
                self._heard[connection] = b""
                connection.send(requests[sent])
                sent += 1
            self._listen(max(0.0, sent / per_second - now) if self._free else seconds - now)

    def _listen(self, patience_s: float) -> None:
        ready, _, _ = select.select(list(self._heard), (), (), patience_s)
        for connection in ready:
            data = self._heard[connection] + connection.recv(65_536)
            head, end, body = data.partition(b"\r\n\r\n")
            length = LENGTH.search(head)
            if end and len(body) >= (int(length[1]) if length else 0):
                self.statuses[data[9:12].decode()] += 1
                del self._heard[connection]
                self._free.append(connection)
            else:
                self._heard[connection] = data


def main(port: str, rate: str, seconds: str, file: str) -> None:
    """Send the bearers of the file, and tell how many were answered with what."""
    requests = [POLL % bearer.encode() for bearer in json.loads(Path(file).read_text())]
    flood = Flood(int(port))
    flood.run(requests, float(rate), float(seconds))
    print(json.dumps({"answered": flood.statuses.total(), "statuses": sorted(flood.statuses)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
