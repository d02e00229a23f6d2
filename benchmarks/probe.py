"""What a database is asked, timed from within a process of the product: `python -m benchmarks.probe VERB`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402 - Django has to be set up first
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks import signing  # noqa: E402
from terminals import delivery  # noqa: E402
from terminals.fleet import unit as units  # noqa: E402
from terminals.keys import issuer  # noqa: E402
from terminals.life.provisioning import OPERATOR, register  # noqa: E402
from terminals.models import Command, CommandToken, IssuerKey, Keyset, Operator, Terminal, TerminalStatus  # noqa: E402
from terminals.protocol import SET_CREDENTIAL  # noqa: E402

PATTERN = "G0000000"
TOKEN = "tok_" + "p" * 16
BIG_TABLES = ("terminals_terminal", "terminals_command", "terminals_commandtoken", "terminals_terminalstatus")
READS = 300
SWEEPS = 40


def patterns() -> None:
    """One terminal and one finished command, as the product leaves them, to be copied."""
    (pattern,) = register([PATTERN])
    TerminalStatus.objects.create(terminal_id=pattern.tid, last_seen_at=timezone.now())
    at = timezone.now() - timedelta(days=365)
    command = Command.objects.create(
        terminal_id=pattern.tid,
        kind=SET_CREDENTIAL,
        operator_number=OPERATOR,
        requested_by="bench",
        state=Command.State.APPLIED,
        jkt="p" * 16,
        seq=1,
        jti=TOKEN,
        token_digest="d" * 43,
        attempt=1,
        claims=1,
        created_at=at,
        expires_at=at + timedelta(days=3),
        finished_at=at,
    )
    CommandToken.objects.create(jti=TOKEN, command=command, jkt="p" * 16, seq=1, digest="d" * 43)


def fleet(count: int, file: str) -> None:
    """So many terminals whose keys we hold, instead of those of the run before; the keys go to the file."""
    old = Terminal.objects.filter(serial__startswith="R").values("pk")
    Command.objects.filter(terminal__in=old).delete()
    for model in (Operator, TerminalStatus):
        model.objects.filter(terminal__in=old).delete()
    Terminal.objects.filter(serial__startswith="R").delete()
    units.save(register([f"R{number:07}" for number in range(count)]), Path(file))


def keys(folder: str) -> None:
    """The issuer's keys of this run, and no others, in the database too."""
    Keyset.objects.all().delete()
    IssuerKey.objects.all().delete()
    issuer.init_keys(Path(folder))


def times(file: str, key: str, count: int) -> dict[str, float]:
    """Milliseconds: a terminal's rows, one delivery, a sweep with nothing to do."""
    settings.REKEY_ISSUER_KEY_FILE = key
    known = list(units.load(Path(file)))[:count]
    ids = signing.queue(known)
    delivered = _typical(lambda: delivery.deliver(ids.pop()), len(ids))
    rows = _typical(lambda: delivery.waiting_for(known[0].tid), READS)
    swept = _typical(delivery.sweep, SWEEPS)
    signing.forget(known)
    return {"a terminal's rows": rows, "deliver": delivered, "sweep": swept}


def _typical(work: Callable[[], Any], count: int) -> float:
    """The lower quartile, for what is longer was mostly somebody else's turn on the core."""
    spans = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        spans.append((time.perf_counter() - began) * 1000)
    return sorted(spans)[count // 4]


def plans(file: str, key: str) -> list[str]:
    """What PostgreSQL reads from end to end while a command is delivered and a sweep goes by."""
    settings.REKEY_ISSUER_KEY_FILE = key
    (command_id,) = signing.queue(list(units.load(Path(file)))[:1])
    with CaptureQueriesContext(connection) as captured:
        delivery.deliver(command_id)
        delivery.sweep()
    found = []
    for query in captured.captured_queries:
        if query["sql"].startswith(("SELECT", "UPDATE", "DELETE")):
            found += [f"{line} ← {query['sql'][:300]}" for line in _scans(query["sql"])]
    return found


def _scans(statement: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + statement.replace("%", "%%"))
        lines = [str(line).strip() for (line,) in cursor.fetchall()]
    return [line for line in lines if any(f"Seq Scan on {table} " in line for table in BIG_TABLES)]


VERBS: dict[str, Callable[..., Any]] = {verb.__name__: verb for verb in (patterns, keys, fleet, times, plans)}

if __name__ == "__main__":
    json.dump(VERBS[sys.argv[1]](**json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}")), sys.stdout)
