"""The supervisor with small children: they are started, watched, restarted and ended without orphans."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from portal.supervisor import ground, parts
from portal.supervisor.child import Child
from portal.supervisor.crew import Crew, GaveUp
from portal.supervisor.echo import Tail

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)",
]
MOTHER = f"""
import subprocess, time
print(subprocess.Popen({SLEEP!r}).pid, flush=True)
time.sleep(60)
"""
FAMILY = [sys.executable, "-c", MOTHER]


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.stop()


def child(tmp_path: Path, command: list[str], name: str = "child", grace_s: float = 5) -> Child:
    return Child(name, command, dict(os.environ), tmp_path / f"{name}.log", grace_s=grace_s)


def eventually(condition: Callable[[], bool]) -> bool:
    """A killed process takes a moment to be gone."""
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def pid_of(one: Child) -> int:
    assert one.process is not None
    return one.process.pid


def test_a_child_that_dies_is_started_again(crew: Crew, tmp_path: Path) -> None:
    one = child(tmp_path, SLEEP)
    crew.start(one)
    first = pid_of(one)
    os.kill(first, signal.SIGKILL)
    assert crew.wait_for(lambda: one.alive and pid_of(one) != first, within_s=5)


def test_a_child_that_keeps_dying_ends_everything_with_its_last_words(crew: Crew, tmp_path: Path) -> None:
    one = child(tmp_path, [sys.executable, "-c", "print('no such database'); raise SystemExit(3)"], "web")
    crew.start(one)
    one.failures = 3
    with pytest.raises(GaveUp, match=r"(?s)web died 5 times.*no such database"):
        crew.wait_for(lambda: _hurry(one), within_s=10)


def _hurry(one: Child) -> bool:
    one.start_again_at = 0
    return False


def test_pauses_grow_and_a_long_life_is_forgiven(tmp_path: Path) -> None:
    one = child(tmp_path, SLEEP)
    pauses = []
    for _ in range(6):
        one.started_at = time.monotonic()
        one.note_death()
        pauses.append(round(one.start_again_at - time.monotonic()))
    assert pauses == [0, 1, 3, 7, 8, 8]
    one.started_at = time.monotonic() - 60
    one.note_death()
    assert one.failures == 1


def test_stopping_ends_grandchildren_too(crew: Crew, tmp_path: Path) -> None:
    one = child(tmp_path, FAMILY, grace_s=1)
    crew.start(one)
    assert crew.wait_for(lambda: one.last_lines().isdigit(), within_s=10)
    grandchild = psutil.Process(int(one.last_lines()))
    crew.stop()
    assert eventually(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)


def test_a_deaf_child_is_killed_when_its_grace_is_over(crew: Crew, tmp_path: Path) -> None:
    one = child(tmp_path, DEAF, grace_s=0.2)
    crew.start(one)
    assert crew.wait_for(lambda: bool(one.last_lines()), within_s=10)
    pid = pid_of(one)
    crew.stop()
    assert not psutil.pid_exists(pid)


def test_the_last_started_is_stopped_first(
    crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(Child, "stop", lambda one: order.append(one.name))
    monkeypatch.setattr(Child, "start", lambda one: None)
    for name in ("redis", "worker", "beat", "web", "till"):
        crew.start(child(tmp_path, SLEEP, name))
    crew.stop()
    assert order == ["till", "web", "beat", "worker", "redis"]


def test_nothing_starts_once_a_stop_was_asked_for(crew: Crew, tmp_path: Path) -> None:
    crew.stopping = True
    one = child(tmp_path, SLEEP)
    crew.start(one)
    assert one.process is None


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    var = tmp_path / "var"
    assert ground.prepare(var) is True
    kept = {path.name: path.read_text() for path in (var / "secrets").iterdir()}
    assert ground.prepare(var) is False
    assert {path.name: path.read_text() for path in (var / "secrets").iterdir()} == kept
    assert set(kept) == {"secret_key", "rekey_pepper", "rekey_field_key"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (var / "secrets").iterdir()} == {0o600}
    assert stat.S_IMODE(var.stat().st_mode) == 0o700


def test_two_supervisors_cannot_share_a_folder(tmp_path: Path) -> None:
    held = ground.lock(tmp_path)
    with pytest.raises(ground.CannotStart, match=rf"already runs from .*process {os.getpid()}"):
        ground.lock(tmp_path)
    os.close(held)
    os.close(ground.lock(tmp_path))


def test_a_busy_port_gets_a_sentence_with_a_way_out() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(ground.CannotStart, match=rf"Port {port} is in use.*PORT={port + 1} make run"):
            ground.claim_port("127.0.0.1", port)


def test_only_the_worker_is_told_where_the_signing_key_lies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REKEY_ISSUER_KEY_FILE", "/inherited/by/mistake")
    for role in ("web", "poll", "beat", "manage"):
        assert "REKEY_ISSUER_KEY_FILE" not in parts.environment(role)
    assert parts.environment("worker", tmp_path)["REKEY_ISSUER_KEY_FILE"] == str(tmp_path)


def test_a_tail_shows_whole_new_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "sms.log"
    path.write_text("old\n")
    tail = Tail(path, "SMS ")
    with path.open("a") as file:
        file.write("one\ntw")
        file.flush()
        assert tail.lines() == ["SMS one"]
        file.write("o\n")
    assert tail.lines() == ["SMS two"]
    assert tail.lines() == []


def test_of_a_log_only_what_is_loud_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    tail = Tail(path, "web ", only_loud=True)
    entries = [{"level": "info", "event": "fine"}, {"level": "error", "event": "broken"}]
    path.write_text("not json\n" + "".join(json.dumps(entry) + "\n" for entry in entries))
    assert tail.lines() == ["web error: broken"]
