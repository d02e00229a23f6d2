"""The simulated terminal under the kit, moved round by round in this process, with hands for everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terminals.conformance.hands import Ready
from terminals.conformance.server import Server, serving
from terminals.conformance.terminal_rules import TerminalBench
from terminals.simulator.checks import Judge
from terminals.simulator.client import Client, EnrollmentFailed, Pace
from terminals.simulator.keysets import Trust
from terminals.simulator.outbox import Outbox
from terminals.simulator.store import Store
from terminals.simulator.till import Till
from terminals.simulator.transport import Clock, Connection, Problem, Unreachable
from tests.terminals.tills import CHEAP, NAMES, PASSWORDS


class Stepped:
    """A terminal whose rounds follow one another without waiting."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def pair(self, qr: str) -> None:
        """Scan the code; what goes wrong shows in the requests."""
        with suppress(Problem, Unreachable, EnrollmentFailed):
            self.client.enroll("", qr)

    def round(self, *, at_most: float = 0.0) -> float:
        """One round."""
        return self.client.step()


def hands(client: Client, subject: Stepped) -> Ready:
    """What somebody at the machine can do."""
    till = client.till

    def said(done: object) -> str:
        return "ok" if done else "no"

    def answer(number: str, digits: str, password: str) -> str:
        if till.offline.answer(number, digits, till.present()) != "ok":
            return "no"
        return said(not till.offline.change(number, password, till.present()))

    return Ready(
        {
            "pair": subject.pair,
            "busy": lambda state: till.set_busy(state == "on"),
            "signon": lambda number, password: said(till.sign_on(number, password).accepted),
            "roll": lambda: till.alter(roll_wanted="both"),
            "forgot": till.forgot,
            "question": lambda number: till.offline.begin(number, till.present())[0],
            "answer": answer,
        }
    )


@dataclass(frozen=True)
class Parts:
    """What a terminal is put together from; a broken one has one part of another make."""

    judge: type[Judge] = Judge
    trust: type[Trust] = Trust
    outbox: type[Outbox] = Outbox
    line: type[Connection] = Connection
    pace: type[Pace] = Pace
    till: type[Till] = Till
    client: type[Client] = Client
    facts: tuple[tuple[str, object], ...] = ()


@contextmanager
def under_test(directory: Path, parts: Parts | None = None) -> Iterator[TerminalBench]:
    """A terminal fresh from its box on one side, the kit on the other."""
    made, clock = parts or Parts(), Clock()
    organs: dict[str, Any] = {"judge": made.judge(), "trust": made.trust(), "outbox": made.outbox()}
    till = made.till(Store(directory), clock=clock, hasher=CHEAP, **organs)
    for number, password in PASSWORDS.items():
        till.seed(number, password, NAMES[number])
    till.alter(**dict(made.facts))
    client = made.client(till, clock, pace=made.pace(), line=made.line())
    subject = Stepped(client)
    with serving(Server()) as running:
        running.hold_most = 0
        yield TerminalBench(running, subject, hands(client, subject), password=PASSWORDS["03"])
