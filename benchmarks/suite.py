"""One group of benchmarks in a process of its own: `python -m benchmarks.suite NAME ORDER FOUND`."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from benchmarks import rig as rigs  # first, for it sets Django up

from benchmarks import confirm, flood, growth, held, polls, signing  # isort: skip

MEASURES = {
    "polls": polls.measure,
    "held": held.measure,
    "confirm": confirm.measure,
    "signing": signing.measure,
    "growth": growth.measure,
    "flood": flood.measure,
}


def main(name: str, order: str, found: str) -> None:
    """Measure as ordered and leave what was found."""
    scale, rounds = pickle.loads(Path(order).read_bytes())
    with rigs.running() as rig:
        outcome = MEASURES[name](rig, scale, rounds)
    Path(found).write_bytes(pickle.dumps(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
