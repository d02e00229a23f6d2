"""Places where the simulator can be made to die as if the power were cut."""

from __future__ import annotations

import os
import signal
from typing import Final

VARIABLE: Final = "REKEY_SIM_CRASH_AT"

# In the order in which one command passes them.
POINTS: Final = (
    "before-commit",
    "temp-half-written",
    "temp-written",
    "temp-synced",
    "renamed",
    "directory-synced",
    "journal-half-written",
    "journal-written",
    "journal-synced",
    "receipts-not-yet-sent",
    "receipts-sent",
)


def reach(point: str) -> None:
    """Die here, at once and without cleaning up, if this point is the chosen one."""
    if os.environ.get(VARIABLE) == point:
        os.kill(os.getpid(), signal.SIGKILL)
