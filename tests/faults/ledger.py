"""What was asked in browsers, what the database says, and what the terminals' journals say: do they agree?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terminals.protocol import APPLIED
from tests.faults.tills import till_at

Key = tuple[str, str]


@dataclass
class Machine:
    """One terminal as its state folder tells: applied commands in order, and its high-water mark."""

    applied: list[dict[str, Any]]
    hwm: int
    outbox: int
    in_force: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Verdict:
    """Disagreements by kind; every one of them is named."""

    lost: list[str]
    twice: list[str]
    unasked: list[str]
    differing: list[str]

    def __str__(self) -> str:
        return (
            f"lost {len(self.lost)}, applied twice {len(self.twice)}, "
            f"applied but never asked {len(self.unasked)}, differing from the journals {len(self.differing)}"
        )


def read_machine(state: Path, wanted: Mapping[str, str]) -> Machine:
    """Read a state folder, and try the wanted passwords (by operator number) at the machine."""
    till = till_at(state)
    memory = till.store.load()
    applied = [line for line in till.store.journal() if line["event"] == APPLIED]
    machine = Machine(applied, memory.hwm, len(memory.outbox))
    for number, password in wanted.items():
        if till.sign_on(number, password).accepted:
            machine.in_force.add(number)
    return machine


def compare(
    asked: Mapping[Key, str],
    commands: Iterable[Mapping[str, Any]],
    machines: Mapping[str, Machine],
    last_seq: Mapping[str, int],
) -> Verdict:
    """Hold the three against each other. `asked` maps (terminal, operator) to the password last asked for."""
    rows = {row["id"]: row for row in commands}
    lines = [(terminal, line) for terminal, machine in machines.items() for line in machine.applied]
    return Verdict(
        lost=_lost(asked, machines),
        twice=[cid for cid, count in Counter(line["cid"] for _, line in lines).items() if count > 1],
        unasked=[
            line["cid"]
            for terminal, line in lines
            if (terminal, line["op"]) not in asked or line["cid"] not in rows
        ],
        differing=[*_states(rows, lines), *_counters(machines, last_seq)],
    )


def _lost(asked: Mapping[Key, str], machines: Mapping[str, Machine]) -> list[str]:
    return [f"{terminal} {op}" for terminal, op in asked if op not in machines[terminal].in_force]


def _states(rows: Mapping[str, Mapping[str, Any]], lines: list[tuple[str, dict[str, Any]]]) -> list[str]:
    journals = {line["cid"]: (terminal, line["op"]) for terminal, line in lines}
    database = {
        cid: (row["terminal_id"], row["operator_number"])
        for cid, row in rows.items()
        if row["state"] == APPLIED
    }
    unfinished = [f"{cid} {row['recovery']}" for cid, row in rows.items() if _dangling(row)]
    return [f"{cid}" for cid, _ in journals.items() ^ database.items()] + unfinished


def _dangling(row: Mapping[str, Any]) -> bool:
    """A command that ended while its recovery does not know, or the other way round."""
    return bool(row["recovery"]) and (row["state"] == APPLIED) != (row["recovery"] == "done")


def _counters(machines: Mapping[str, Machine], last_seq: Mapping[str, int]) -> list[str]:
    return [
        f"{terminal} hwm {machine.hwm} seq {last_seq[terminal]} outbox {machine.outbox}"
        for terminal, machine in machines.items()
        if machine.hwm > last_seq[terminal] or machine.outbox
    ]
