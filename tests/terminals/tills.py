"""Machines for tests: enrolled on paper, with cheap hashing and a clock that can be set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from terminals import jose
from terminals.claims import parse_keyset, parse_receipt
from terminals.protocol import TYP_RECEIPT
from terminals.simulator.store import Store
from terminals.simulator.till import Till
from tests.vectors import world

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORDS = {"00": "739154", "01": "5913", "03": "2846", "05": "8065", "99": "40718263"}
NAMES = {"00": "主管", "01": "陈静", "03": "王芳", "05": "刘洋", "99": "维护"}


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def enrolled(directory: Path) -> Till:
    """A till of the fixed world, active, its five operators signed off, at T0."""
    till = Till(Store(directory), clock=SetClock(world.T0), hasher=CHEAP)
    with till.store.transaction() as state:
        state.status, state.origin, state.tid = "active", world.ORIGIN, world.TID
        state.sign_key, state.open_key = dict(world.TERMINAL), dict(world.OPENING)
        state.offline_key = jose.b64u(bytes(range(32)))
        state.roots, state.hwm = [jose.public_jwk(world.ROOT)], world.HWM
        state.keyset = asdict(parse_keyset(world.keyset()))
    for number, password in PASSWORDS.items():
        till.seed(number, password, NAMES[number])
    return till


def receipts(till: Till) -> list[dict[str, Any]]:
    """The verified receipts waiting in the outbox."""
    state = till.store.load()
    keys = {jose.kid16(state.sign_key): jose.public_jwk(state.sign_key)}
    found = [jose.verify(item.receipt, TYP_RECEIPT, keys, 2048) for item in state.outbox]
    for claims in found:
        parse_receipt(claims)
    return found
