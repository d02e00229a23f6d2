"""`python -m benchmarks.desk`: queries and p95 of every list of the admin, into benchmarks/DESK.md."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from benchmarks import machine
from benchmarks.data import TUNING
from benchmarks.load import quantile
from portal.supervisor import ground
from tests import postgres
from tests.stack import environment

HERE = Path(__file__).parent
PORT = 18_810
SIZES = {
    "full": (10_000, 100_000, 100_000, 100_000, 1_000_000),
    "tenth": (1_000, 10_000, 10_000, 10_000, 100_000),
    "tiny": (5, 20, 60, 60, 200),
}
MOST_QUERIES = 12
NAME = "bench_desk"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write down; 1 when a page does not answer or asks too often."""
    options = _options(arguments)
    passing = Path(tempfile.mkdtemp(prefix="rekey-desk-"))
    # What is sealed in a kept database opens with the secrets that were there.
    var = options.data / "var" if options.data else passing
    try:
        var.mkdir(parents=True, exist_ok=True)
        ground.prepare(var)
        env = environment(var, PORT, {"LOG_LEVEL": "ERROR"})
        with postgres.running(options.data, TUNING) as server:
            made = _database(server, options.size, env)
            url = urlunsplit(urlsplit(server)._replace(path=f"/{NAME}"))
            found = json.loads(_probe(("times", json.dumps(options.rounds)), url, env))
    finally:
        shutil.rmtree(passing, ignore_errors=True)
    page = text(found, SIZES[options.size], options.rounds, made)
    print(page)
    for one in found if options.plans else ():
        print(f"\n-- {one['name']}\n{one['sql']}")
    if options.write:
        Path(options.write).write_text(page, "utf-8")
    return int(any(one["status"] != 200 or _asks_too_often(one) for one in found))


def _asks_too_often(one: Mapping[str, Any]) -> bool:
    """Whether a list takes more queries than it may; a report takes one for each of its figures."""
    return not one["name"].startswith("reports") and one["queries"] > MOST_QUERIES


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.desk", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--data", type=Path, help="keep the database here and use it again")
    parser.add_argument("--plans", action="store_true", help="print the slowest query of each page too")
    parser.add_argument("--write", metavar="FILE", help="where the result goes, besides the screen")
    options = parser.parse_args(arguments)
    if options.write is None and options.size == "full":
        options.write = str(HERE / "DESK.md")
    return options


def _database(server: str, size: str, env: Mapping[str, str]) -> str:
    """Make the database unless it is there; what it took."""
    url = urlunsplit(urlsplit(server)._replace(path=f"/{NAME}"))
    with psycopg.connect(server, autocommit=True) as connection:
        noted = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [NAME]
        ).fetchone()
        if noted is not None and str(noted[0]).startswith(f"{size}: "):
            _run(("manage.py", "migrate", "--verbosity", "0"), url, env)
            return str(noted[0]).removeprefix(f"{size}: ")
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(NAME)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
        began = time.monotonic()
        _run(("manage.py", "migrate", "--verbosity", "0"), url, env)
        _probe(("fill", json.dumps(SIZES[size])), url, env)
        row = connection.execute("SELECT pg_database_size(%s)", [NAME]).fetchone()
        assert row is not None
        note = f"{row[0] / 2**30:.1f} GiB, made in {time.monotonic() - began:.0f} s"
        comment = sql.SQL("COMMENT ON DATABASE {} IS {}")
        connection.execute(comment.format(sql.Identifier(NAME), sql.Literal(f"{size}: {note}")))
    return note


def _probe(arguments: Sequence[str], url: str, env: Mapping[str, str]) -> str:
    return _run(("-m", "benchmarks.desk_probe", *arguments), url, env)


def _run(command: Sequence[str], url: str, env: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        env={**env, "DATABASE_URL": url},
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def text(found: Sequence[Mapping[str, Any]], sizes: Sequence[int], rounds: int, made: str) -> str:
    """The page of results."""
    names = ("shops", "terminals", "recoveries", "tickets", "audit events")
    held = ", ".join(f"{count:,} {name}" for name, count in zip(names, sizes, strict=True))
    facts = [
        *machine.describe(),
        ("rows", f"{held}; three messages a recovery, three entries a ticket; {made}"),
        ("opened", f"{rounds} times each, one at a time, by the test client: no HTTP, no TLS"),
        ("when", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
    ]
    lines = [
        "# How the desk's lists do",
        "",
        "One run of `python -m benchmarks.desk` on PostgreSQL: queries of a page, and milliseconds",
        "until it is whole.",
        "",
        "| machine | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts),
        "",
        "| list | queries | p50 | p95 |",
        "|---|---:|---:|---:|",
        *(_row(one) for one in found),
    ]
    return "\n".join(lines) + "\n"


def _row(one: Mapping[str, Any]) -> str:
    many = " (too many)" if _asks_too_often(one) else ""
    if one["status"] != 200:
        return f"| {one['name']} | answered {one['status']} | | |"
    half, most = quantile(one["ms"], 0.5), quantile(one["ms"], 0.95)
    return f"| {one['name']} | {one['queries']}{many} | {half:.0f} | {most:.0f} |"


if __name__ == "__main__":
    raise SystemExit(main())
