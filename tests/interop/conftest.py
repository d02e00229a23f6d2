"""The Node terminal with what it needs installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INSTALL_WITHIN_S = 120


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with what it needs installed, as the lock file says."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        absent = f"{' and '.join(missing)} not found: the Node terminal was not tried"
        if os.environ.get("CI"):
            pytest.fail(absent)
        pytest.skip(absent)
    copy = tmp_path_factory.mktemp("node") / "terminal"
    shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns("node_modules", "__pycache__", "*.py"))
    install = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(install, cwd=copy, check=True, capture_output=True, timeout=INSTALL_WITHIN_S)
    return copy
