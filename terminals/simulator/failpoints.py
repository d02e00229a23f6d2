"""Places where the simulator can be made to die as if the power were cut."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

VARIABLE: Final = "REKEY_SIM_CRASH_AT"

# Every commit passes these, in this order; the last three only when it has something for the journal.
STAGES: Final = (
    "before-commit",
    "temp-half-written",
    "temp-written",
    "temp-synced",
    "renamed",
    "directory-synced",
    "journal-half-written",
    "journal-written",
    "journal-synced",
)
OLD: Final = frozenset(STAGES[:4])

# What is committed, and what is sent; a name is the first part of the request's path.
COMMITS: Final = (
    "receive",
    "settle",
    "signed-on",
    "chosen",
    "pairing",
    "paired",
    "roll",
    "rolled",
    "keyset",
    "boot",
    "wipe-due",
    "wipe-tried",
    "wiped",
    "asked",
    "outcome",
    "challenge",
    "unlock-try",
    "unlocked",
)
SENDS: Final = ("enroll", "confirm", "receipts", "inventory", "commands", "roll", "keysets", "recoveries")

POINTS: Final = tuple(
    [f"{commit}/{stage}" for commit in COMMITS for stage in STAGES]
    + [f"{send}/{moment}" for send in SENDS for moment in ("not-yet-sent", "sent")]
)

# A test in the same process sets this to a function that raises PowerCut at the point it wants.
hook: Callable[[str], None] | None = None


class PowerCut(BaseException):
    """The power went, in a test that goes on in the same process."""


def reach(point: str) -> None:
    """Die here, at once and without cleaning up, if this point is the chosen one."""
    if os.environ.get(VARIABLE) == point:
        os.kill(os.getpid(), signal.SIGKILL)
    if hook is not None:
        hook(point)
