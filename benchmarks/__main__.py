"""`python -m benchmarks [--only 1 2] [--rounds 3]`: all figures in one run, kept in benchmarks/RESULTS.md."""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import data, machine, report
from benchmarks.figures import FULL, TINY, Outcome, Scale
from portal import redis_server
from portal.supervisor import ground
from tests.stack import environment

HERE = Path(__file__).parent
GROUPS = {"polls": {1, 2, 3}, "held": {4, 5, 7}, "confirm": {6}, "signing": {8}, "growth": {9}, "flood": {10}}
FILES = 1000
PORT = 18_800


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write down; returns 1 when a figure falls short."""
    options = _options(arguments)
    wanted = set(options.only or range(1, 11))
    names = [name for name, numbers in GROUPS.items() if numbers & wanted]
    scale = TINY if options.tiny else FULL
    machine.raise_file_limit(scale.held + FILES)
    if options.prepare:
        with _environment() as env, data.servers(options.data, scale, env) as (_small, _large, made):
            print(f"{options.data}: {made}")
        return 0
    began = time.monotonic()
    found = {name: _measure(name, scale, options) for name in names}
    outcomes = [outcome for outcome in found.values() if outcome is not None]
    failed = [name for name in names if found[name] is None]
    text = report.text(outcomes, wanted, options.rounds, time.monotonic() - began, failed)
    print(text)
    if options.write:
        Path(options.write).write_text(text, "utf-8")
    short = any(not figure.met for one in outcomes for figure in one.figures if figure.number in wanted)
    return int(bool(failed) or short)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=int, nargs="+", choices=range(1, 11), metavar="N")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="only show that everything runs")
    parser.add_argument("--data", type=Path, help="keep the large database here and use it again (figure 9)")
    parser.add_argument("--prepare", action="store_true", help="only make that database")
    parser.add_argument("--write", metavar="FILE", help="where the result goes, besides the screen")
    options = parser.parse_args(arguments)
    if options.write is None and not options.tiny and not options.only:
        options.write = str(HERE / "RESULTS.md")
    return options


def _measure(name: str, scale: Scale, options: argparse.Namespace) -> Outcome | None:
    """What was found; None when it could not be measured, which does not keep the others from being."""
    print(f"· {name}", file=sys.stderr, flush=True)
    try:
        with _environment() as env:
            env["PATH"] = os.environ["PATH"]
            if name != "growth":
                return _run(name, scale, options.rounds, env)
            with data.servers(options.data, scale, env) as (small, large, made):
                databases = {"DATABASE_URL": small, "BENCH_LARGE": large, "BENCH_MADE": made}
                return _run(name, scale, options.rounds, env | databases)
    except Exception:  # noqa: BLE001 - whatever it is, the other groups are measured all the same
        traceback.print_exc()
        return None


@contextmanager
def _environment() -> Iterator[dict[str, str]]:
    """A state folder of its own, with secrets, and what every process of the group is told."""
    var = Path(tempfile.mkdtemp(prefix="rekey-bench-"))
    try:
        ground.prepare(var)
        (var / "static").mkdir()
        url = redis_server.redis_url(var)
        yield environment(var, PORT, {"REDIS_URL": url, "LOG_LEVEL": "WARNING"})
    finally:
        shutil.rmtree(var, ignore_errors=True)


def _run(name: str, scale: Scale, rounds: int, env: dict[str, str]) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        order, found = Path(folder) / "order", Path(folder) / "found"
        order.write_bytes(pickle.dumps((scale, rounds)))
        command = [sys.executable, "-m", "benchmarks.suite", name, str(order), str(found)]
        subprocess.run(command, env=env, cwd=HERE.parent, check=True)
        outcome = pickle.loads(found.read_bytes())
    assert isinstance(outcome, Outcome)
    return outcome


if __name__ == "__main__":
    raise SystemExit(main())
