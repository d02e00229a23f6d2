"""`python -m tests.hostile`: the whole siege, 10,000 requests, with its numbers on the screen."""

from __future__ import annotations

import os
import subprocess
import sys

if __name__ == "__main__":
    command = [sys.executable, "-m", "pytest", "-q", "-s", "tests/hostile/test_siege.py", *sys.argv[1:]]
    raise SystemExit(
        subprocess.run(command, env={**os.environ, "REKEY_THOROUGH": "1"}, check=False).returncode
    )
