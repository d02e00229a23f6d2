"""What a run has found, as a table for people and as JSON for machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from terminals.conformance.rules import FAILED, NOT_RUN, PASSED, SECTIONS, Verdict

_MARK = {PASSED: "✓", FAILED: "✗", NOT_RUN: "–"}


def line(verdict: Verdict) -> str:
    """One rule on one line; a failed one says below what was sent, expected and received."""
    first = f"  {_MARK[verdict.outcome]} {verdict.id:<28} {verdict.says}"
    if verdict.outcome == NOT_RUN:
        return f"{first}\n      not run: {verdict.why}"
    if verdict.outcome == PASSED:
        return first
    told = {"sent": verdict.sent, "expected": verdict.expected, "came": verdict.came}
    return "\n".join([first, *(f"      {name:<9} {text}" for name, text in told.items())])


def table(verdicts: Sequence[Verdict]) -> str:
    """All rules by section, what failed in full, and the sums."""
    return "\n".join([*_sections(verdicts), "", *_sums(verdicts)])


def _sections(verdicts: Sequence[Verdict]) -> Iterator[str]:
    for section in SECTIONS:
        ours = [verdict for verdict in verdicts if verdict.section == section]
        if ours:
            yield f"\n{section}"
            yield from (line(verdict) for verdict in ours)


def _sums(verdicts: Sequence[Verdict]) -> Iterator[str]:
    width = max(len(section) for section in SECTIONS)
    yield f"{'section':<{width}}  passed  failed  not run"
    for section in SECTIONS:
        counted = Counter(verdict.outcome for verdict in verdicts if verdict.section == section)
        if counted:
            yield f"{section:<{width}}  {counted[PASSED]:>6}  {counted[FAILED]:>6}  {counted[NOT_RUN]:>7}"
    total = Counter(verdict.outcome for verdict in verdicts)
    yield f"{'together':<{width}}  {total[PASSED]:>6}  {total[FAILED]:>6}  {total[NOT_RUN]:>7}"


def as_json(side: str, verdicts: Sequence[Verdict]) -> str:
    """The same for machines."""
    total = Counter(verdict.outcome for verdict in verdicts)
    whole = {"tested": side, "sums": dict(total), "rules": [verdict.plain() for verdict in verdicts]}
    return json.dumps(whole, indent=1, ensure_ascii=False)


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """0 if nothing failed and something passed, else 1."""
    outcomes = {verdict.outcome for verdict in verdicts}
    return int(FAILED in outcomes or PASSED not in outcomes)
