"""One child process: started in a session of its own, its output in a file, ended without leaving orphans."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

STEADY_AFTER_S = 30.0
LONGEST_PAUSE_S = 8.0


@dataclass(slots=True)
class Child:
    """A command and the process that runs it now."""

    name: str
    command: list[str]
    env: dict[str, str]
    log: Path
    grace_s: float = 5.0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    failures: int = field(default=0, init=False)
    started_at: float = field(default=0.0, init=False)
    start_again_at: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Start the process. Where the system can, it is told to end when its parent dies."""
        leash = [setpriv, "--pdeathsig", "TERM"] if (setpriv := shutil.which("setpriv")) else []
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*leash, *self.command],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_at = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def note_death(self) -> None:
        """Plan the next start: at once after a long life, later and later after short ones."""
        lived = time.monotonic() - self.started_at
        self.failures = 1 if lived > STEADY_AFTER_S else self.failures + 1
        self.start_again_at = time.monotonic() + min(2.0 ** (self.failures - 1) - 1, LONGEST_PAUSE_S)
        self.process = None

    def ask(self) -> None:
        """Ask the process to end."""
        if self.process is not None and self.alive:
            self.process.terminate()

    def stop(self) -> None:
        """Ask the process to end, wait, and then end whatever is left of its session."""
        if self.process is None:
            return
        self.ask()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(self.grace_s)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def last_lines(self, count: int = 12) -> str:
        """The end of its log."""
        lines = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-count:])
