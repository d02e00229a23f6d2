"""A million terminals and ten million finished commands, made inside PostgreSQL in minutes.

One terminal and one finished command are made by the product; the rest are copies with ids of their own, so
that a column nobody here has heard of is filled all the same. Secondary indexes are built afterwards.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from benchmarks.figures import Scale
from tests import postgres

FEW = 1000
CHUNK = 500_000
SMALL, LARGE = "bench_small", "bench_large"
# 16 characters that look as random as real ids do, so that indexes are as scattered as real ones.
HASH = "substr(translate(encode(sha256(('{salt}' || {n})::bytea), 'base64'), '+/', '-_'), 1, 16)"
DONE = ("pushed_at", "fetched_at", "applied_at", "finished_at")
YEARS_S = 3 * 365 * 86_400
TABLES = (
    "terminals_terminal", "terminals_terminalstatus", "terminals_operator",
    "terminals_command", "terminals_commandtoken",
)  # fmt: skip


# Its own copies need no safety, only to be there soon.
TUNING = " ".join(
    f"-c {option}"
    for option in (
        "shared_buffers=1GB",
        "maintenance_work_mem=512MB",
        "max_wal_size=8GB",
        "wal_level=minimal",
        "max_wal_senders=0",
        "autovacuum=off",
    )
)


def _hash(salt: str, n: str) -> str:
    return HASH.format(salt=salt, n=n)


@contextmanager
def servers(folder: Path | None, scale: Scale, env: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """URLs of the small and the large database, and what it took to make the large one.

    In a folder both are kept and found again.
    """
    with postgres.running(folder, TUNING) as url:
        stamp = f"{scale.terminals} {scale.finished}"
        for name, terminals, finished in ((SMALL, FEW, 0), (LARGE, scale.terminals, scale.finished)):
            if _made(url, name).startswith(stamp):
                _product(("manage.py", "migrate", "--verbosity", "0"), _at(url, name), env)
            else:
                _make(url, name, (terminals, finished), stamp, env)
        yield _at(url, SMALL), _at(url, LARGE), _made(url, LARGE).removeprefix(stamp).strip()


def _at(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _made(url: str, name: str) -> str:
    """What is noted about a database once it is complete."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name]
        ).fetchone()
    return str(found[0] or "") if found else ""


def _make(url: str, name: str, sizes: tuple[int, int], stamp: str, env: Mapping[str, str]) -> None:
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    _product(("manage.py", "migrate", "--verbosity", "0"), _at(url, name), env)
    _product(("-m", "benchmarks.probe", "patterns"), _at(url, name), env)
    with psycopg.connect(_at(url, name), autocommit=True) as connection:
        # Copies of sound rows refer to what is there; checking each would take longer than making them.
        connection.execute("SET session_replication_role = replica")
        indexes = _without_indexes(connection)
        _terminals(connection, sizes[0])
        _finished(connection, *sizes)
        for statement in indexes:
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE")
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert size is not None
        note = f"{stamp} {size[0] / 2**30:.1f} GiB, made in {time.monotonic() - began:.0f} s"
        comment = sql.SQL("COMMENT ON DATABASE {} IS {}")
        connection.execute(comment.format(sql.Identifier(name), sql.Literal(note)))


def _product(command: Sequence[str], url: str, env: Mapping[str, str]) -> None:
    subprocess.run(
        [sys.executable, *command], env={**env, "DATABASE_URL": url}, stdout=subprocess.DEVNULL, check=True
    )


def _without_indexes(connection: psycopg.Connection[Any]) -> list[str]:
    """Take the secondary indexes of our tables away; the statements that bring them back."""
    constraints = connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'u' AND conrelid::regclass::text = ANY(%s)",
        [list(TABLES)],
    ).fetchall()
    for table, name, _ in constraints:
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes"
        " WHERE tablename = ANY(%s) AND indexname NOT LIKE '%%_pkey'",
        [list(TABLES)],
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')
    back = [f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {what}' for table, name, what in constraints]
    return back + [definition for _, definition in indexes]


def _terminals(connection: psycopg.Connection[Any], count: int) -> None:
    tid = f"'trm_' || {_hash('t', 'n')}"
    for start in range(1, count + 1, CHUNK):
        rows = (start, min(start + CHUNK - 1, count))
        _copy(
            connection,
            "terminals_terminal",
            {
                "id": tid,
                "number": "'G' || lpad(n::text, 7, '0')",
                "serial": "'G' || lpad(n::text, 7, '0')",
                "sign_kid": _hash("k", "n"),
                "enc_kid": _hash("e", "n"),
            },
            rows,
        )
        seen = {"terminal_id": tid, "last_seen_at": "now() - (n % 86400) * interval '1 second'"}
        _copy(connection, "terminals_terminalstatus", seen, rows)
        _copy(connection, "terminals_operator", {"terminal_id": tid}, rows)


def _finished(connection: psycopg.Connection[Any], terminals: int, count: int) -> None:
    of = f"(n % {terminals} + 1)"
    at = f"now() - ((n::bigint * 7919) % {YEARS_S} + 600) * interval '1 second'"
    common = {"jkt": _hash("k", of), "seq": f"n / {terminals} + 1"}
    moments = {
        "created_at": at,
        "expires_at": f"{at} + interval '3 days'",
        **dict.fromkeys(DONE, f"{at} + interval '1 minute'"),
    }
    cid, jti = f"'cmd_' || {_hash('c', 'n')}", f"'tok_' || {_hash('j', 'n')}"
    for start in range(1, count + 1, CHUNK):
        rows = (start, min(start + CHUNK - 1, count))
        command = {"id": cid, "jti": jti, "terminal_id": f"'trm_' || {_hash('t', of)}", **common, **moments}
        _copy(connection, "terminals_command", command, rows)
        token = {"jti": jti, "command_id": cid, **common, "digest": _hash("d", "n"), "issued_at": at}
        _copy(connection, "terminals_commandtoken", token, rows)


def _copy(
    connection: psycopg.Connection[Any], table: str, own: Mapping[str, str], rows: tuple[int, int]
) -> None:
    """Rows like the pattern, the one row of the table that is there from the start, but for some columns."""
    columns = [
        str(name)
        for (name,) in connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_identity = 'NO'",
            [table],
        )
    ]
    values = ", ".join(own.get(column, f't."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    numbers = f"generate_series({rows[0]}::bigint, {rows[1]}::bigint)"
    pattern = f"(SELECT * FROM {table} WHERE ctid = '(0,1)')"
    connection.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {pattern} t, {numbers} n")
