"""A till with its client, as somebody would set it up on a counter; it can lose its power."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from terminals import jose
from terminals.conformance.memory import YEAR
from terminals.conformance.server import Server
from terminals.protocol import FACTORY_RESET, HOUR, KINDS
from terminals.simulator.client import Client
from terminals.simulator.state import State
from terminals.simulator.store import Store
from terminals.simulator.till import Till
from terminals.simulator.transport import Clock
from tests.terminals.tills import CHEAP, NAMES, PASSWORDS
from tests.vectors import world

RESETTING = world.EARLY


class KeyedServer(Server):
    """The conformance kit's server with the keys of the fixed world; its one code may be used again."""

    def __init__(self) -> None:
        super().__init__()
        self.root, self.issuer, self.resetter = world.ROOT, world.ISSUER, RESETTING

    def match(self, typed: str) -> None:
        """Raises ProtocolError unless it is the code."""
        self.code_used = False
        super().match(typed)

    def end_recoveries(self, state: str) -> None:
        """Say from now on that each of them ended so."""
        for known in self.recoveries.values():
            known["state"] = state


class Machine:
    """What stands on the counter. `power_up` on the same directory is the same machine after a cut."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.said: list[str] = []
        self.ahead = 0.0
        self.clock = Clock(lambda: time.time() + self.ahead)
        self.power_up()

    def power_up(self) -> None:
        """Everything that was only in memory is gone."""
        self.clock.forget()
        self.till = Till(Store(self.directory), clock=self.clock, hasher=CHEAP)
        self.client = Client(self.till, self.clock, interval_cap=0.1, say=self.said.append)

    def power_off(self) -> None:
        """The line drops."""
        self.client.close()

    def set_up(self, *numbers: str) -> None:
        """Operators on a fresh machine."""
        for number in numbers or PASSWORDS:
            self.till.seed(number, PASSWORDS[number], NAMES[number])

    @property
    def state(self) -> State:
        """What it remembers."""
        return self.till.store.load()

    def later(self, seconds: float) -> None:
        """Time goes by, for the machine and whoever looks at it."""
        self.ahead += seconds


def paired(directory: Path, server: KeyedServer) -> Machine:
    """A machine of this server whose keyset has one key for everything but resets, and one for these."""
    machine = Machine(directory)
    machine.set_up()
    machine.client.enroll(server.origin, server.code)
    server.publish(2, keys=[entry(world.ISSUER, *KINDS - {FACTORY_RESET}), entry(RESETTING, FACTORY_RESET)])
    assert machine.client.walk_keysets() == 1
    return machine


def entry(key: dict[str, str], *cmds: str) -> dict[str, Any]:
    """One key of a keyset, good for a year."""
    now = int(time.time())
    return {"jwk": jose.public_jwk(key), "cmds": sorted(cmds), "nbf": now - HOUR, "exp": now + YEAR}


def issue_reset(server: KeyedServer, **changes: Any) -> str:
    """A factory reset of a stolen machine, or of another if told so."""
    claims = {"guard": {"waive": "stolen"}, "apr": ["usr_2"], "args": {"scope": "all"}}
    return server.issue(FACTORY_RESET, **{"key": RESETTING, **claims, **changes})
