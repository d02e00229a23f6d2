"""What a run has found, as a table for people and as JSON for machines."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from terminals.conformance.rules import FAILED, NOT_RUN, PASSED, SECTIONS, Verdict

_MARK = {PASSED: "✓", FAILED: "✗", NOT_RUN: "–"}


def line(verdict: Verdict) -> str:
    """One rule on one line; a failed one says below what was sent, expected and received."""
    first = f"  {_MARK[verdict.outcome]} {verdict.id:<28} {verdict.says}"
    if verdict.outcome == NOT_RUN:
        return f"  {_MARK[NOT_RUN]} {verdict.id:<28} not run: {verdict.why}"
    if verdict.outcome == PASSED:
        return first
    told = {"sent": verdict.sent, "expected": verdict.expected, "came": verdict.came}
    return "\n".join([first, *(f"      {name:<9} {text}" for name, text in told.items())])


def summary(verdicts: Sequence[Verdict]) -> str:
    """What failed in full, what was not run by its reason, the sums by section, and the end of it all."""
    return "\n".join([*_failed(verdicts), *_not_run(verdicts), *_sums(verdicts), "", _end(verdicts)])


def _failed(verdicts: Sequence[Verdict]) -> Iterator[str]:
    for section in SECTIONS:
        ours = [verdict for verdict in verdicts if (verdict.section, verdict.outcome) == (section, FAILED)]
        if ours:
            yield f"Failed: {section}"
            yield from (line(verdict) for verdict in ours)
            yield ""


def _not_run(verdicts: Sequence[Verdict]) -> Iterator[str]:
    why: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.outcome == NOT_RUN:
            why.setdefault(verdict.why, []).append(verdict.id)
    for reason, rules in why.items():
        yield f"Not run: {reason}"
        yield textwrap.indent(textwrap.fill(", ".join(rules), 100, break_on_hyphens=False), "  ")
        yield ""


def _sums(verdicts: Sequence[Verdict]) -> Iterator[str]:
    width = max(len(section) for section in SECTIONS)
    yield f"{'section':<{width}}  passed  failed  not run"
    for section in SECTIONS:
        counted = Counter(verdict.outcome for verdict in verdicts if verdict.section == section)
        if counted:
            yield f"{section:<{width}}  {counted[PASSED]:>6}  {counted[FAILED]:>6}  {counted[NOT_RUN]:>7}"
    total = Counter(verdict.outcome for verdict in verdicts)
    yield f"{'together':<{width}}  {total[PASSED]:>6}  {total[FAILED]:>6}  {total[NOT_RUN]:>7}"


def _end(verdicts: Sequence[Verdict]) -> str:
    total = Counter(verdict.outcome for verdict in verdicts)
    if total[FAILED]:
        return f"FAILED: {total[FAILED]} of {total.total()} rules broken."
    if not total[PASSED]:
        return "FAILED: no rule could be tried."
    left = f" {total[NOT_RUN]} were not run." if total[NOT_RUN] else ""
    return f"PASSED: every rule that was tried, {total[PASSED]} of {total.total()}.{left}"


def as_json(side: str, verdicts: Sequence[Verdict]) -> str:
    """The same for machines."""
    total = Counter(verdict.outcome for verdict in verdicts)
    whole = {"tested": side, "sums": dict(total), "rules": [verdict.plain() for verdict in verdicts]}
    return json.dumps(whole, indent=1, ensure_ascii=False)


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """0 if nothing failed and something passed, else 1."""
    outcomes = {verdict.outcome for verdict in verdicts}
    return int(FAILED in outcomes or PASSED not in outcomes)
