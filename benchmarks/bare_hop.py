"""The other end of a bare Redis hop: it waits, and says how long what arrived has been on its way."""

from __future__ import annotations

import os
import time

import redis


def main() -> None:
    """Answer until ended."""
    client = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=None)
    while True:
        found = client.blpop(["bench:hop"], 0)
        assert isinstance(found, tuple)
        client.lpush("bench:hop:took", time.perf_counter_ns() - int(found[1]))


if __name__ == "__main__":
    main()
