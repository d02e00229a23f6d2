"""`python -m tests.mutation [module …]`: how many changes for the worse the tests notice, module by module.

It ends with 1 when a module stays under the bar. Run it on SQLite, on a machine that has some minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.mutation.hunt import ROOT, Hunt
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.places import BAR, COVERED_BY, SAME


class Score:
    """What was noticed and what was not, by module."""

    def __init__(self) -> None:
        # Pytest keeps what is printed while it runs.
        self._out = os.fdopen(os.dup(1), "w")
        self.killed: dict[str, int] = defaultdict(int)
        self.survived: dict[str, list[Mutant]] = defaultdict(list)

    def note(self, mutant: Mutant, killed: bool) -> None:
        """Count one; a survivor is told at once."""
        name = str(mutant.path.relative_to(ROOT))
        if killed:
            self.killed[name] += 1
        else:
            self.survived[name].append(mutant)
            print(f"survived  {mutant}", file=self._out, flush=True)

    def close(self, names: list[str]) -> int:
        """Print the table; 0 when every module is over the bar."""
        low = False
        print(f"\n{'module':<28}{'mutants':>9}{'killed':>9}{'share':>8}")
        for name in names:
            killed, all_ = self.killed[name], self.killed[name] + len(self.survived[name])
            share = 100 * killed / all_ if all_ else 0
            low = low or share < BAR
            print(f"{name:<28}{all_:>9}{killed:>9}{share:>7.1f}%")
        return 1 if low else 0


def tests_of(path: Path) -> tuple[str, ...]:
    """Files of tests for a module, below tests/."""
    return COVERED_BY[str(path.relative_to(ROOT))]


def place_of(mutant: Mutant) -> tuple[str, str, str]:
    """Its module, its function and what stood there."""
    return str(mutant.path.relative_to(ROOT)), mutant.inside, mutant.was


def main() -> int:
    """Hunt through the modules that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help=", ".join(COVERED_BY))
    names = parser.parse_args().modules or list(COVERED_BY)
    files = dict.fromkeys(file for name in names for file in COVERED_BY[name])
    mutants = [mutant for name in names for mutant in mutants_of(ROOT / name) if place_of(mutant) not in SAME]
    score = Score()
    print(f"{len(mutants)} mutants of {len(names)} modules", flush=True)
    arguments = ["-q", "-m", "not slow and not live and not browser", "-p", "no:cacheprovider"]
    hunt = Hunt(mutants, tests_of, score.note)
    failed = pytest.main([*arguments, *(f"{ROOT}/tests/{file}" for file in files)], plugins=[hunt])
    return int(failed) or score.close(names)


if __name__ == "__main__":
    sys.exit(main())
