"""`make test`: every check, then every test on SQLite and on PostgreSQL; it ends with what was left out."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests import chromium, postgres

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# Whoever starts processes or a browser wants the machine alone; the rest shares it, two by two.
ALONE = ["-m", "live or browser"]
SHARED = ["-m", "not live and not browser", "-n", "2"]
# Checks of files, and of what knows no database, say the same on every database.
NO_ROWS = ["house", "terminals/test_vectors.py", "terminals/test_jose.py", "terminals/test_protocol.py"]
NO_ROWS += ["terminals/test_simulator*.py", "terminals/test_conformance*.py", "terminals/test_policy.py"]
WITH_ROWS = [f"--ignore-glob={ROOT}/tests/{name}" for name in NO_ROWS]


@dataclass
class Report:
    """What happened so far."""

    failed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def step(self, name: str, command: list[str], env: dict[str, str] | None = None) -> None:
        """Run one command, say how long it took, and remember when it failed."""
        print(f"\n── {name}", flush=True)
        began = time.monotonic()
        code = subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})}, check=False).returncode
        print(f"   {name}: {'ok' if code == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s", flush=True)
        if code:
            self.failed.append(name)

    def tests(self, name: str, arguments: list[str], env: dict[str, str]) -> None:
        """Run pytest and add up what it counted; a run without any test has failed."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "junit.xml"
            command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={log}", *arguments]
            self.step(name, command, env)
            suites = ET.parse(log).getroot().iter("testsuite") if log.exists() else []
            executed = 0
            for suite in suites:
                executed += int(suite.get("tests", 0)) - int(suite.get("skipped", 0))
                self.counts += Counter(
                    {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
                )
        if not executed:
            self.failed.append(f"{name}: no test was executed")

    def close(self) -> int:
        """Print the closing lines; the exit code."""
        bad = self.counts["failures"] + self.counts["errors"]
        passed = self.counts["tests"] - bad - self.counts["skipped"]
        print("\n──────────")
        for line in self.failed:
            print(f"failed: {line}")
        for line in self.left_out:
            print(f"left out: {line}")
        if self.counts:
            print(f"{passed} passed, {bad} failed, {self.counts['skipped']} skipped", flush=True)
        return 1 if self.failed else 0


def checks(report: Report) -> None:
    """What needs no database."""
    report.step("ruff", [str(BIN / "ruff"), "check", "."])
    report.step("format", [str(BIN / "ruff"), "format", "--check", "."])
    report.step("types", [str(BIN / "mypy")])
    report.step("import contracts", [str(BIN / "lint-imports")])


def browser(report: Report) -> dict[str, str]:
    """Where Chromium is, for the environment of the tests; without one, CI fails and others are told."""
    print("\n── browser", flush=True)
    found = chromium.find_or_fetch()
    print(f"   {found or 'none'}", flush=True)
    if found:
        return {"CHROMIUM": found}
    message = "the browser tests (no Chromium; set CHROMIUM to one)"
    (report.failed if os.environ.get("CI") else report.left_out).append(message)
    return {}


def main() -> int:
    """Everything, or with --only-checks what is quick. Further arguments go to pytest."""
    parser = argparse.ArgumentParser(prog="make test", description=__doc__)
    parser.add_argument("--only-checks", action="store_true")
    options, arguments = parser.parse_known_args()
    report = Report()
    checks(report)
    if not options.only_checks:
        env = browser(report)
        sqlite = {**env, "DATABASE_URL": ""}
        report.tests("tests on SQLite", [*SHARED, *arguments], sqlite)
        report.tests("real processes and browsers", [*ALONE, *arguments], sqlite)
        with postgres.running() as url:
            report.tests(
                "tests on PostgreSQL", [*SHARED, *WITH_ROWS, *arguments], {**env, "DATABASE_URL": url}
            )
    return report.close()


if __name__ == "__main__":
    raise SystemExit(main())
