"""Figure 8: how many commands one core signs and pushes, beside a raw signature and a Redis write."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.utils import timezone

from benchmarks import machine
from benchmarks.figures import Bound, Figure, Outcome, Scale, Table, median, number
from benchmarks.rig import Rig
from terminals import delivery, inbox, jose
from terminals.fleet.unit import Unit
from terminals.life.provisioning import OPERATOR
from terminals.models import Command
from terminals.protocol import LIFETIME, SET_CREDENTIAL, new_id

WHO = "bench"
PASSWORD = "827164"
RAW, ONE, SWEEP = "raw signature + write", "deliver, one by one", "sweep"


def measure(rig: Rig, scale: Scale, rounds: int) -> Outcome:
    """Raw work, single deliveries and sweeps in turn, in this process on the server's core."""
    settings.REKEY_ISSUER_KEY_FILE = str(rig.var / "issuer" / "signing.jwk")
    units = rig.fleet(scale.signed)
    spent: dict[str, list[float]] = {RAW: [], ONE: [], SWEEP: []}
    outcome = Outcome()
    machine.pin(os.getpid(), rig.cores.server)
    for _ in range(rounds):
        meter = machine.Meter([rig.redis_pid])
        spent[RAW].append(_cost(lambda: _raw(units), len(units)))
        ids = queue(units)
        spent[ONE].append(_cost(partial(_deliver, ids), len(units)))
        queue(units)
        spent[SWEEP].append(_cost(lambda: _sweep(len(units)), len(units)))
        outcome.foreign.append(meter.read().foreign)
    machine.pin(os.getpid(), rig.cores.load)
    forget(units)
    _judge(spent, outcome)
    return outcome


def _cost(work: Callable[[], None], count: int) -> float:
    """CPU microseconds of this process per piece."""
    before = time.process_time()
    work()
    return (time.process_time() - before) / count * 1e6


def queue(units: Sequence[Unit]) -> list[str]:
    """One queued command with a sealed password for each terminal, as the web process leaves it."""
    forget(units)
    now = timezone.now()
    rows = [
        Command(
            terminal_id=unit.tid,
            kind=SET_CREDENTIAL,
            operator_number=OPERATOR,
            requested_by=WHO,
            created_at=now,
            expires_at=now + timedelta(seconds=LIFETIME[SET_CREDENTIAL]),
        )
        for unit in units
    ]
    for row, unit in zip(rows, units, strict=True):
        row.sealed = _sealed(row, unit)
        row.sealed_kid = jose.kid16(unit.open_key)
    Command.objects.bulk_create(rows)
    return [row.id for row in rows]


def forget(units: Sequence[Unit]) -> None:
    """Nothing is queued for these terminals, and nothing lies in their inboxes."""
    Command.objects.filter(requested_by=WHO, terminal__in=[unit.tid for unit in units]).delete()
    for unit in units:
        inbox.clear(unit.tid)


def _sealed(row: Command, unit: Unit) -> str:
    plaintext = {
        "cid": row.id,
        "aud": unit.tid,
        "op": OPERATOR,
        "password": PASSWORD,
        "change_at_next_login": False,
    }
    return jose.seal(plaintext, jose.public_jwk(unit.open_key), row.id)


def _raw(units: Sequence[Unit]) -> None:
    """The same claims, signed by the bare primitive, and one write to Redis each."""
    key = Ed25519PrivateKey.generate()
    client = inbox.client()
    header = jose.b64u(json.dumps({"alg": "Ed25519", "typ": "rekey-cmd+jwt", "kid": "k" * 16}).encode())
    now = int(time.time())
    for unit in units:
        claims = {
            "iss": settings.REKEY_ORIGIN, "aud": unit.tid, "jkt": "j" * 16, "iat": now, "exp": now + 259_200,
            "jti": new_id("tok"), "cid": new_id("cmd"), "seq": 1, "cmd": SET_CREDENTIAL, "by": "bench",
            "op": OPERATOR, "sealed": "s" * 560,
        }  # fmt: skip
        signed = f"{header}.{jose.b64u(json.dumps(claims, separators=(',', ':')).encode())}"
        token = f"{signed}.{jose.b64u(key.sign(signed.encode()))}"
        client.set(f"bench:{unit.tid}", token, ex=60)


def _deliver(ids: Sequence[str]) -> None:
    for command_id in ids:
        if not delivery.deliver(command_id):
            raise RuntimeError("a command was not delivered")


def _sweep(count: int) -> None:
    while Command.objects.filter(pushed_at__isnull=False).count() < count:
        delivery.sweep()


def _judge(spent: dict[str, list[float]], outcome: Outcome) -> None:
    costs = {name: median(values) for name, values in spent.items()}
    best = min(ONE, SWEEP, key=lambda name: costs[name])
    outcome.figures.append(
        Figure(
            8,
            "commands signed and pushed per core",
            f"{number(1e6 / costs[best])}/s ({best}; {number(costs[best])} µs each)",
            f"{number(1e6 / costs[RAW])}/s ({RAW}; {number(costs[RAW])} µs each)",
            [Bound("of the ceiling", 100 * costs[RAW] / costs[best], 25, " %")],
            LIMITS[8],
        )
    )
    rows = [
        [name, number(cost), number(1e6 / cost), f"{100 * costs[RAW] / cost:.0f} %"]
        for name, cost in costs.items()
    ]
    head = ("what", "CPU µs each", "per core and second", "of the ceiling")
    outcome.tables.append(Table("Signing and pushing (figure 8), medians", head, rows))


LIMITS = {8: "rows: two updates and an insert a command; one alone pays for a whole transaction"}
