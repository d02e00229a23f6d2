"""The result as a page: the machine, each figure against its ceiling, and the rows behind them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from benchmarks import machine
from benchmarks.figures import Figure, Outcome, Table, median, number

NOISY = 0.25
INTRO = """# How fast

One run of `python -m benchmarks` on one machine: the server under test alone on one core, load and Redis on
the other, rounds interleaved, medians. CPU µs per request is the server process's own; a ratio is the median
over rounds of what the ceiling and the product used in the same round. How each figure is measured, and what
it does not include, is in [README.md](README.md)."""


def text(
    outcomes: Sequence[Outcome],
    wanted: Collection[int],
    rounds: int,
    took_s: float,
    failed: Sequence[str] = (),
) -> str:
    """The whole page; figures that were not asked for are left out, groups that `failed` are named."""
    figures = sorted(
        (f for one in outcomes for f in one.figures if f.number in wanted), key=lambda f: f.number
    )
    foreign = [value for one in outcomes for value in one.foreign]
    parts = [INTRO, _machine(rounds, took_s, foreign, failed), _figures(figures)]
    parts += [_table(table) for one in outcomes for table in one.tables]
    return "\n\n".join(parts) + "\n"


def _machine(rounds: int, took_s: float, foreign: Sequence[float], failed: Sequence[str]) -> str:
    facts = [
        *machine.describe(),
        ("cores used", "server on one, load and Redis on another" if machine.cores().apart else "only one!"),
        ("rounds", str(rounds)),
        ("when", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {took_s / 60:.1f} minutes"),
    ]
    if foreign:
        noisy = sum(value > NOISY for value in foreign)
        spread = f"median {number(median(foreign))}, most {number(max(foreign))} cores"
        facts.append(("foreign CPU", f"{spread}; {noisy} of {len(foreign)} windows above {NOISY}"))
    if failed:
        facts.append(("**failed, not measured**", ", ".join(failed)))
    return "\n".join(["| machine | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts)])


def _figures(figures: Sequence[Figure]) -> str:
    lines = [
        "| # | figure | measured | ceiling | ratio (goal) | | what limits it |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {figure.number} | {figure.title} | {figure.product} | {figure.ceiling} "
        f"| {'<br>'.join(map(str, figure.bounds))} | {'pass' if figure.met else '**short**'} "
        f"| {figure.limit} |"
        for figure in figures
    ]
    return "\n".join(lines)


def _table(table: Table) -> str:
    head = [f"## {table.title}", "", "| " + " | ".join(table.head) + " |", "|" + "---|" * len(table.head)]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in table.rows)])
