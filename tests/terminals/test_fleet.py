"""A fleet: many terminals in one process, by the rules of one."""

from __future__ import annotations

import asyncio
import re
import resource
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from terminals.fleet import fleet, pairing, unit
from terminals.fleet.unit import Unit
from terminals.fleet.wire import Answer, Line, Unanswered, read
from terminals.life import provisioning
from terminals.models import Operator, Terminal
from tests import stack

TERMINALS = 50


def test_an_answer_is_read_once_it_is_complete() -> None:
    whole = b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 2\r\n\r\n{}'
    assert [read(whole[:length]) for length in range(len(whole))] == [None] * len(whole)
    assert read(whole) == Answer(200, b"{}", {"etag": '"x"', "content-length": "2"})


def test_an_answer_without_a_body_ends_with_its_head() -> None:
    answer = read(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert answer is not None and (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_answer_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        read(data)


async def test_a_line_that_breaks_leaves_nobody_waiting() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
    with pytest.raises(Unanswered):
        await line.ask(b"GET / HTTP/1.1\r\n\r\n")
    assert not line.alive
    server.close()
    await server.wait_closed()


def test_a_fleet_is_remembered_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "fleet.jsonl"
    before = [Unit.fresh("F0000001", "trm_" + "a" * 16), Unit.fresh("F0000002", "trm_" + "b" * 16)]
    before[1].hwm = 41
    unit.save(before, path)
    assert [one.as_json() for one in unit.load(path)] == [one.as_json() for one in before]
    assert path.stat().st_mode & 0o077 == 0


def test_no_memory_is_an_empty_fleet(tmp_path: Path) -> None:
    assert list(unit.load(tmp_path / "none")) == []


def test_codes_come_with_serial_numbers_or_without() -> None:
    assert pairing.read_codes("RK1,BCD-FGH-JKL\n\nREKEY1:http://x|BCD|r\n") == [
        ("RK1", "BCD-FGH-JKL"),
        ("F0000001", "REKEY1:http://x|BCD|r"),
    ]


def test_it_says_how_many_terminals_the_system_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_which: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(
        fleet.TooManyFiles, match=r"10,000 terminals need 10,200 .* at most 3,896 .* ulimit -Hn"
    ):
        fleet.allow_connections(10_000)


@pytest.mark.django_db
def test_a_demo_gets_its_terminals_at_once() -> None:
    units = provisioning.register(["F0000000", "F0000001"])
    rows = {row.serial: row for row in Terminal.objects.all()}
    assert {one.serial: one.tid for one in units} == {serial: row.id for serial, row in rows.items()}
    assert all(row.state == Terminal.State.ACTIVE and row.sign_kid for row in rows.values())
    assert Operator.objects.filter(number=provisioning.OPERATOR).count() == 2


@pytest.mark.django_db
def test_terminals_that_are_there_keep_their_keys() -> None:
    provisioning.register(["F0000000"])
    before = Terminal.objects.get().sign_key
    assert [one.tid for one in provisioning.register(["F0000000"])] == [""]
    assert Terminal.objects.get().sign_key == before


@pytest.mark.django_db
@override_settings(REKEY_DEMO=False, DEBUG=False)
def test_a_real_installation_gets_none() -> None:
    with pytest.raises(provisioning.NotADemo):
        provisioning.register(["F0000000"])
    with pytest.raises(CommandError, match="demo"):
        call_command("simulatefleet", "--terminals", "1", "--issue", "1")


@pytest.mark.live
@pytest.mark.slow
def test_fifty_terminals_poll_apply_and_report(tmp_path: Path) -> None:
    with stack.running(tmp_path / "var") as running:
        said = running.manage(
            "simulatefleet", "--terminals", str(TERMINALS), "--url", running.origin,
            "--for", "15", "--interval-cap", "2", "--issue", "3",
        )  # fmt: skip
        rows = running.office("commands")
    assert "errors: none" in said
    applied = sum(row["state"] == "applied" for row in rows)
    assert applied > 10
    assert f"commands: {applied} applied, 0 refused, 0 repeated" in said
    # Whoever was not yet served when the fleet stopped waits; nothing ended in any other way.
    assert {row["state"] for row in rows} <= {"applied", "queued", "fetched", "superseded"}


@pytest.mark.live
def test_a_fleet_pairs_through_the_same_door_as_everybody(tmp_path: Path) -> None:
    with stack.running(
        tmp_path / "var", REKEY_LIMITS="pairing=1000/hour,pairing-overall=1000/hour"
    ) as running:
        shops = running.office("shops", count=3, operators=1)
        codes = tmp_path / "codes.csv"
        codes.write_text("".join(f"{shop['serial']},{shop['pairing_code']}\n" for shop in shops))
        facts = ["--terminals", "3", "--pairing-codes", str(codes), "--url", running.origin, "--for", "3"]
        said = running.manage("simulatefleet", *facts, "--interval-cap", "1", "--wait-cap", "0")
        again = running.manage("simulatefleet", *facts)
        seen: dict[str, Any] = running.office("counts")["terminals"]
    assert "paired 3 of 3" in said and "errors: none" in said
    assert "paired" not in again, "a fleet that is paired stays paired"
    assert set(seen) == {shop["terminal"] for shop in shops}
    assert re.search(r"answers: [1-9][0-9]* × 204", said)
