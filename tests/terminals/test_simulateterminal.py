"""`manage.py simulateterminal` is a door to the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command

from terminals.conformance.server import serving
from terminals.simulator.store import Store
from tests.terminals.machines import KeyedServer


def test_the_command_pairs_polls_once_and_says_what_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(KeyedServer()) as server:
        arguments = [
            "--url",
            server.origin,
            "--state",
            str(tmp_path / "till"),
            "--once",
            "--interval-cap",
            "0.1",
        ]
        call_command(
            "simulateterminal", *arguments, "--pairing-code", server.code, "--operator", "03=2846:王芳"
        )
        cid = server.issue("unlock", op="03")
        call_command("simulateterminal", *arguments)
        assert server.outcome(cid) == ["applied"]
    said = capsys.readouterr().out.splitlines()
    assert "active" in said
    assert "applied unlock 03" in said
    assert not any("2846" in line for line in said)


def test_without_a_server_it_fails_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        call_command(
            "simulateterminal", "--url", "http://127.0.0.1:1", "--state", str(tmp_path / "till"), "--once"
        )
    assert stopped.value.code == 1
    assert "enrollment:" in capsys.readouterr().err
    assert Store(tmp_path / "till").load().status == "new"
