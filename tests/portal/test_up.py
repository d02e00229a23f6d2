"""`make run` as a newcomer meets it: it starts, says where to go, refuses a twin, leaves nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from tests.postgres import free_port

pytestmark = pytest.mark.live
UP = [sys.executable, "manage.py", "up"]


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A bare environment: no secrets, a state folder that is not there yet."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    var = tmp_path_factory.mktemp("up") / "var"
    return {**kept, "REKEY_DEMO": "1", "REKEY_VAR": str(var), "PORT": str(free_port())}


@pytest.fixture(scope="module")
def running(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(UP, env=env, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What it printed up to a line that holds the text."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    pytest.fail(f"it ended with:\n{said}")


def again(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        UP, env=env, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_newcomer_is_told_where_to_go_and_who_to_be(
    running: subprocess.Popen[str], env: dict[str, str]
) -> None:
    said = read_until(running, "ready after")
    origin = f"http://127.0.0.1:{env['PORT']}"
    for part in (f"{origin}/", f"{origin}/sign-in", f"{origin}/admin/", "898440158120031", "+8613800002046"):
        assert part in said
    demo = json.loads((Path(env["REKEY_VAR"]) / "demo.json").read_text())
    assert demo["owner"]["password"] in said
    assert demo["staff"]["password"] in said


def test_every_part_answers(running: subprocess.Popen[str], env: dict[str, str]) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{env['PORT']}/readyz", timeout=5) as answer:
        assert json.load(answer)["status"] == "ok"


def test_the_till_has_paired_itself(running: subprocess.Popen[str], env: dict[str, str]) -> None:
    log = Path(env["REKEY_VAR"]) / "log" / "till.log"
    deadline = time.monotonic() + 30
    while "active" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "active" in log.read_text()


def test_only_the_worker_knows_the_signing_key(running: subprocess.Popen[str]) -> None:
    told = [
        " ".join(child.cmdline())
        for child in psutil.Process(running.pid).children()
        if "REKEY_ISSUER_KEY_FILE" in child.environ()
    ]
    assert len(told) == 1
    assert "portal.celery worker" in told[0]


def test_a_twin_is_refused(running: subprocess.Popen[str], env: dict[str, str]) -> None:
    twin = again(env)
    assert twin.returncode == 1
    assert "already runs from" in twin.stderr
    assert "Traceback" not in twin.stderr


def test_a_busy_port_is_told(running: subprocess.Popen[str], env: dict[str, str], tmp_path: Path) -> None:
    other = again({**env, "REKEY_VAR": str(tmp_path / "var")})
    assert other.returncode == 1
    assert re.search(rf"Port {env['PORT']} is in use.*make run", other.stderr)


def test_secrets_of_the_demo_are_readable_by_their_owner_only(env: dict[str, str]) -> None:
    var = Path(env["REKEY_VAR"])
    private = [*(var / "secrets").iterdir(), *(var / "issuer").iterdir(), var / "demo.json"]
    assert [path.name for path in private if path.stat().st_mode & 0o077] == []


def test_ctrl_c_ends_every_child(running: subprocess.Popen[str]) -> None:
    family = psutil.Process(running.pid).children(recursive=True)
    assert len(family) >= 7  # Redis, web, worker and its two, beat, till
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 0
    _, left = psutil.wait_procs(family, timeout=5)
    assert [one.name() for one in left if one.status() != psutil.STATUS_ZOMBIE] == []
