"""Many simulated terminals in one process: `python -m tests.faults.tills ORIGIN FILE`, one thread each.

The library, the HTTP and the state folders are the real ones; only the password hash is a cheap one.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from terminals.simulator.client import Client
from terminals.simulator.store import Store
from terminals.simulator.till import Till
from terminals.simulator.transport import Clock, Problem, Unreachable

CAP_S = 2.0
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
FIRST = "8264{:02}"


def till_at(state: Path) -> Till:
    """The machine whose memory lies there."""
    return Till(Store(state), hasher=CHEAP)


def live(origin: str, facts: dict[str, Any], stop: threading.Event) -> None:
    """Install, pair and run one terminal until told to stop."""
    clock = Clock()
    till = Till(Store(Path(facts["state"])), clock=clock, hasher=CHEAP)
    with till.store.transaction() as state:
        state.profile.serial = facts["serial"]
    for number in facts["operators"]:
        till.seed(number, FIRST.format(int(number)), f"操作员 {number}")
    say = partial(print, facts["serial"], flush=True)
    client = Client(till, clock, interval_cap=CAP_S, say=say)
    while till.store.load().status == "new" and not stop.is_set():
        try:
            client.enroll(origin, facts["pairing_code"])
        except (Problem, Unreachable) as error:
            print(facts["serial"], "pairing", error, flush=True)
            stop.wait(0.5)
    client.run(stop)


def main(origin: str, file: str) -> None:
    """Run all terminals of the file."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    shops = json.loads(Path(file).read_text())
    threads = [threading.Thread(target=live, args=(origin, facts, stop)) for facts in shops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
