"""A terminal's doors under attack: done with within a second, nothing kept, and good terminals served."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.db import connection

from portal.supervisor import parts
from portal.supervisor.child import Child
from terminals import inbox
from tests.cast import pair_on_paper
from tests.hostile import attacks
from tests.hostile.attacks import DOORS, suffer
from tests.hostile.callers import Callers

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
ATTACKS = [attacks.huge, attacks.endless, attacks.wordy, attacks.deep]
WITHIN_S = 1.0
GROWTH_MAX = 24 * 1024 * 1024


@pytest.fixture(scope="module")
def server(django_db_setup: None, redis_process: None) -> Iterator[tuple[int, int]]:
    """Port and process id of a web process on the database and the Redis of the tests."""
    if connection.vendor != "sqlite":
        pytest.skip("the process opens the tests' SQLite file")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "REDIS_URL": settings.REDIS_URL,
        "REKEY_ROLE": "web",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    child = Child("web", parts.web("127.0.0.1", port), environment, Path(settings.REKEY_VAR) / "hostile.log")
    child.start()
    try:
        wait_until(lambda: _listens(port))
        assert child.process is not None
        yield port, child.process.pid
    finally:
        child.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(true: Callable[[], bool], within_s: float = 30) -> None:
    """Come back when it is so."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
@pytest.mark.parametrize(("method", "door"), DOORS, ids=lambda part: part)
async def test_it_is_answered_or_cut_within_a_second(
    attack: Callable[[str, str, str], Iterator[bytes]], method: str, door: str, server: tuple[int, int]
) -> None:
    took, heard = await suffer(server[0], attack(method, door, "Authorization: Bearer x"), 5)
    assert took < WITHIN_S
    assert heard == b"" or heard[9:10] in (b"2", b"4"), heard[:80]


def test_an_authentic_terminal_that_goes_mad_is_refused_all_the_same(server: tuple[int, int]) -> None:
    till = pair_on_paper()

    async def scene() -> list[bytes]:
        line = f"Authorization: Bearer {till.bearer()}"
        doors = [("POST", "receipts"), ("PUT", "inventory"), ("POST", "recoveries")]
        return [(await suffer(server[0], attacks.deep(*door, line), 5))[1] for door in doors]

    assert [answer.split(b" ")[1] for answer in asyncio.run(scene())] == [b"400"] * 3


async def test_memory_stays_flat(server: tuple[int, int]) -> None:
    process = psutil.Process(server[1])
    everything = list(itertools.product(ATTACKS, DOORS))

    async def round_() -> int:
        for attack, (method, door) in everything:
            await suffer(server[0], attack(method, door, "Authorization: Bearer x"), 5)
        return int(process.memory_info().rss)

    first = await round_()
    assert await round_() - first < GROWTH_MAX


def test_good_terminals_are_served_while_strangers_knock_two_thousand_times_a_second(
    server: tuple[int, int], tmp_path: Path
) -> None:
    assert inbox.rebuild(lambda: None)
    tills = [pair_on_paper() for _ in range(60)]
    good, file = [till.bearer() for till in tills] * 3, tmp_path / "bearers.json"
    file.write_text(json.dumps(attacks.forged(tills[0].bearer(), 10_000)))

    polls_for(server[0], good, 2)
    idle = polls_for(server[0], good, 3)
    command = [sys.executable, "-m", "tests.hostile.flood", str(server[0]), "2000", "5", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as flood:
        time.sleep(1)
        busy = polls_for(server[0], good, 3)
        said = json.loads(flood.communicate(timeout=30)[0])

    beside = f"{said['answered'] / 5:.0f} bad a second"
    print(f"\n  good p50/p99: alone {idle.spread()}, beside {beside} {busy.spread()}")
    assert busy.statuses == {b"204"} and set(said["statuses"]) <= {"401", "503"}


def polls_for(port: int, bearers: list[str], seconds: float) -> Callers:
    """Good terminals, fifty polls a second."""
    callers = Callers(port)
    asyncio.run(callers.run(bearers, 50, 10, seconds))
    return callers
