"""What a database is asked, timed from within a process of the product: `python -m benchmarks.probe VERB`."""

from __future__ import annotations

import itertools
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

from benchmarks import machine, signing  # noqa: E402
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
READ = 1 << 20


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
    old = Terminal.objects.filter(serial__gte="R", serial__lt="S").values("pk")
    Command.objects.filter(terminal__in=old).delete()
    for model in (Operator, TerminalStatus):
        model.objects.filter(terminal__in=old).delete()
    Terminal.objects.filter(serial__gte="R", serial__lt="S").delete()
    units.save(register([f"R{number:07}" for number in range(count)]), Path(file))


def keys(folder: str) -> None:
    """The issuer's keys of this run, and no others, in the database too."""
    Keyset.objects.all().delete()
    IssuerKey.objects.all().delete()
    issuer.init_keys(Path(folder))


def times(file: str, key: str, count: int) -> dict[str, float]:
    """CPU microseconds, ours and the database's: a terminal's rows, a delivery, a sweep of nothing."""
    settings.REKEY_ISSUER_KEY_FILE = key
    known = list(units.load(Path(file)))[:count]
    _tidy()
    ids = signing.queue(known)
    fresh, turns = Command.objects.filter(pk__in=list(ids)), itertools.cycle(unit.tid for unit in known)
    delivered = _cost(lambda: delivery.deliver(ids.pop()), len(ids) - 1)
    rows = _cost(lambda: delivery.waiting_for(next(turns)), READS)
    # Otherwise the slower of two databases would have more that was pushed a while ago and is pushed again.
    fresh.update(pushed_at=timezone.now())
    swept = _cost(delivery.sweep, SWEEPS)
    signing.forget(known)
    return {"a terminal's rows": rows, "deliver": delivered, "sweep": swept}


def _tidy() -> None:
    """As in a database in use: no index leads to rows of earlier rounds, and none waits for the disk."""
    with connection.cursor() as cursor:
        for table in BIG_TABLES:
            cursor.execute(f"VACUUM (ANALYZE) {table}")
        cursor.execute("CHECKPOINT")
        cursor.execute(
            "SELECT current_setting('data_directory') || '/' || pg_relation_filepath(indexrelid)"
            " FROM pg_index WHERE indrelid::regclass::text = ANY (%s)",
            [list(BIG_TABLES)],
        )
        files = [Path(name) for (name,) in cursor.fetchall()]
    for part in (part for file in files for part in file.parent.glob(f"{file.name}*")):
        with part.open("rb", buffering=0) as data:
            while data.read(READ):
                pass


def _cost(work: Callable[[], Any], count: int) -> float:
    """CPU microseconds of this process and of the one that serves it, each time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (server,) = cursor.fetchone()

    def spent() -> float:
        return time.process_time() + machine.precise_cpu_s(server)

    work()
    before = spent()
    for _ in range(count):
        work()
    return (spent() - before) / count * 1e6


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
