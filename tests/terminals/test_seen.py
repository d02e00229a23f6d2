"""When terminals called: true in Redis within seconds, in the rows within a minute, never a row a poll."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from terminals.headers import Telemetry
from terminals.models import Terminal, TerminalStatus
from terminals.polling import seen
from terminals.polling.seen import Seen
from tests.cast import make_terminal

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOLD = b'pv=1, fw="4.2.1", bat=83, chg=?1, hwm=41, ks=3, batch=?0, idle=?1'


@pytest.fixture
def terminal() -> Terminal:
    """A terminal that calls."""
    return make_terminal(operators=False)


def note(
    server: redis.Redis, terminal_id: str, at: datetime = NOON, status: int = 204, told: bytes = TOLD
) -> None:
    """What a poll process leaves in Redis."""
    server.hset(seen.SHEET, terminal_id, seen.written(at.timestamp(), 204, told))


class TestReading:
    def test_what_is_written_can_be_read(self) -> None:
        found = seen.read(seen.written(NOON.timestamp(), 304, TOLD).decode())
        assert found is not None and (found.at, found.status) == (NOON, 304)
        assert found.telemetry is not None and found.telemetry.bat == 83

    @pytest.mark.parametrize("text", ["", "x", "1 x", "-1 200 ", "1", "1.5 200"])
    def test_what_nobody_of_us_wrote_is_nothing(self, text: str) -> None:
        assert seen.read(text) is None

    def test_the_latest_call_is_known_before_and_while_it_is_copied(
        self, terminal: Terminal, redis_client: redis.Redis
    ) -> None:
        note(redis_client, terminal.pk)
        assert seen.latest([terminal.pk])[terminal.pk].at == NOON
        redis_client.rename(seen.SHEET, seen.ASIDE)
        assert seen.latest([terminal.pk])[terminal.pk].at == NOON
        note(redis_client, terminal.pk, NOON + timedelta(seconds=9))
        assert seen.latest([terminal.pk])[terminal.pk].at == NOON + timedelta(seconds=9)

    def test_without_redis_only_the_rows_know(self, terminal: Terminal, settings: Settings) -> None:
        settings.REDIS_URL = "unix:///nowhere/redis.sock"
        assert seen.latest([terminal.pk]) == {} and seen.latest([]) == {}

    def test_an_idle_terminal_costs_less_than_a_kibibyte(
        self, terminal: Terminal, redis_client: redis.Redis
    ) -> None:
        before = redis_client.info("memory")["used_memory_dataset"]
        for number in range(2000):
            note(redis_client, f"trm_{number:016}")
        each = (redis_client.info("memory")["used_memory_dataset"] - before) / 2000
        assert each < 1024


class TestCopying:
    def test_the_rows_learn_what_was_said(self, terminal: Terminal, redis_client: redis.Redis) -> None:
        note(redis_client, terminal.pk)
        assert seen.copy() == 1
        status = TerminalStatus.objects.get()
        assert (status.last_seen_at, status.last_status) == (NOON, 204)
        assert (status.battery, status.charging, status.idle) == (83, True, True)
        assert (status.reported_hwm, status.keyset_version, status.unsettled_batch) == (41, 3, False)
        terminal.refresh_from_db()
        assert terminal.firmware == "4.2.1"

    def test_nothing_is_left_in_redis(self, terminal: Terminal, redis_client: redis.Redis) -> None:
        note(redis_client, terminal.pk)
        seen.copy()
        assert redis_client.keys("rekey:{seen}*") == [] and seen.copy() == 0

    def test_a_terminal_that_says_nothing_keeps_what_it_said(
        self, terminal: Terminal, redis_client: redis.Redis
    ) -> None:
        note(redis_client, terminal.pk)
        seen.copy()
        note(redis_client, terminal.pk, NOON + timedelta(minutes=1), told=b"")
        seen.copy()
        status = TerminalStatus.objects.get()
        assert status.battery == 83 and status.last_seen_at == NOON + timedelta(minutes=1)

    def test_what_others_wrote_into_the_row_stays(
        self, terminal: Terminal, redis_client: redis.Redis
    ) -> None:
        TerminalStatus.objects.create(terminal=terminal, network="wifi", inventory={"a": 1})
        note(redis_client, terminal.pk)
        seen.copy()
        status = TerminalStatus.objects.get()
        assert (status.network, status.inventory, status.battery) == ("wifi", {"a": 1}, 83)

    def test_a_row_never_goes_back_in_time(self, terminal: Terminal, redis_client: redis.Redis) -> None:
        TerminalStatus.objects.create(terminal=terminal, last_seen_at=NOON + timedelta(hours=1))
        note(redis_client, terminal.pk)
        seen.copy()
        assert TerminalStatus.objects.get().last_seen_at == NOON + timedelta(hours=1)

    def test_a_terminal_that_is_gone_and_nonsense_are_left_out(
        self, terminal: Terminal, redis_client: redis.Redis
    ) -> None:
        note(redis_client, "trm_gone567890123456")
        redis_client.hset(seen.SHEET, "trm_odd4567890123456", "what?")
        note(redis_client, terminal.pk)
        assert seen.copy() == 3 and TerminalStatus.objects.get().pk == terminal.pk

    def test_what_an_earlier_copy_did_not_get_to_comes_first(
        self, terminal: Terminal, redis_client: redis.Redis
    ) -> None:
        other = make_terminal(operators=False)
        note(redis_client, terminal.pk)
        redis_client.rename(seen.SHEET, seen.ASIDE)
        note(redis_client, other.pk)
        seen.copy()
        assert set(TerminalStatus.objects.values_list("pk", flat=True)) == {terminal.pk}
        seen.copy()
        assert TerminalStatus.objects.count() == 2

    def test_two_copies_at_once_are_one(self, terminal: Terminal, redis_client: redis.Redis) -> None:
        note(redis_client, terminal.pk)
        redis_client.set(seen.COPYING, "1")
        assert seen.copy() == 0 and seen.latest([terminal.pk])

    def test_many_terminals_are_few_statements(self, redis_client: redis.Redis) -> None:
        terminals = [make_terminal(operators=False) for _ in range(40)]
        for terminal in terminals:
            note(redis_client, terminal.pk, told=b"bat=50")
        with CaptureQueriesContext(connection) as queries:
            assert seen.copy() == 40
        assert len(queries) <= 6 and TerminalStatus.objects.filter(battery=50).count() == 40

    def test_without_redis_there_is_nothing_to_copy(self, settings: Settings) -> None:
        settings.REDIS_URL = "unix:///nowhere/redis.sock"
        assert seen.copy() == 0

    def test_stores_that_cross_leave_the_newest(self, terminal: Terminal) -> None:
        def tell(minute: int) -> None:
            at = NOON + timedelta(minutes=minute)
            seen.store({terminal.pk: Seen(at, 204, Telemetry(bat=minute))})
            connection.close()

        tell(30)
        threads = [threading.Thread(target=tell, args=(minute,)) for minute in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert TerminalStatus.objects.get().battery == 30
