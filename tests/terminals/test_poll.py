"""The poll: what a terminal is told, how soon, and that an empty answer is never a guess."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.db import DatabaseError
from django.utils import timezone
from pytest_django.fixtures import Settings

from terminals import delivery, inbox, keyring, poll
from terminals.headers import parse_dictionary
from terminals.health import health
from terminals.models import Command, Terminal, TerminalStatus
from tests.cast import PairedTill, make_terminal, pair_on_paper
from tests.terminals.asgi import Answer, ask, poll_once, run
from tests.terminals.work import delivered, fresh, reset

State = Command.State
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def complete_inboxes(clean_redis: None) -> None:
    """A sweeper has been here."""
    assert inbox.rebuild(lambda: None)


@contextmanager
def stopped(server: redis.Redis) -> Iterator[None]:
    """Redis hangs: it takes connections and says nothing."""
    pid = server.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class TestAnswers:
    def test_nothing_waits(self, till: PairedTill) -> None:
        answer = poll_once(till)
        assert (answer.status, answer.body) == (204, b"") and "content-length" not in answer.headers

    def test_a_waiting_command_is_handed_over(self, till: PairedTill) -> None:
        command = delivered(till)
        answer = poll_once(till)
        assert answer.status == 200 and answer.tokens == [command.token]
        assert answer.json()["more"] is False and answer.headers["content-type"] == "application/json"

    def test_what_the_terminal_holds_already_is_not_sent_again(self, till: PairedTill) -> None:
        delivered(till)
        etag = poll_once(till).headers["etag"]
        again = poll_once(till, if_none_match=etag)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
        delivered(till, "01")
        assert poll_once(till, if_none_match=etag).status == 200

    def test_an_inbox_that_became_empty_is_told_as_empty(self, till: PairedTill) -> None:
        command = delivered(till)
        etag = poll_once(till).headers["etag"]
        inbox.drop(till.terminal.pk, [command.jti or ""])
        assert poll_once(till, if_none_match=etag).status == 204

    @pytest.mark.parametrize(
        ("query", "given", "more"), [("", 4, True), ("max=2", 2, True), ("max=9", 4, True)]
    )
    def test_at_most_four_come_at_once_lowest_numbers_first(
        self, till: PairedTill, query: str, given: int, more: bool
    ) -> None:
        tokens = [
            delivered(till, sealed_password=None, choose=True, operator=n).token
            for n in ("00", "01", "03", "05", "99")
        ]
        answer = poll_once(till, query)
        assert answer.tokens == tokens[:given] and answer.json()["more"] is more

    def test_terminals_never_see_each_others_commands(self, till: PairedTill) -> None:
        delivered(till)
        assert poll_once(pair_on_paper()).status == 204

    def test_every_answer_carries_date_trace_and_no_store(self, till: PairedTill) -> None:
        for answer in (poll_once(till), poll_once(None), poll_once(till, "wait=x")):
            assert answer.headers["cache-control"] == "no-store"
            assert len(answer.headers["rekey-trace"]) == 16 and answer.headers["date"].endswith("GMT")


class TestPace:
    def pace(self, answer: Answer) -> dict[str, Any]:
        """The hint in `Rekey-Poll`."""
        hint = parse_dictionary(answer.headers["rekey-poll"])
        assert hint is not None
        return hint

    @pytest.mark.parametrize(("power", "interval"), [("mains", 60), ("cellular", 300)])
    def test_idle_terminals_come_back_by_their_power(
        self, till: PairedTill, power: str, interval: int
    ) -> None:
        Terminal.objects.update(power=power)
        hint = self.pace(poll_once(till))
        assert hint["interval"] == interval and "fast_until" not in hint

    def test_while_a_command_waits_the_terminal_comes_back_fast(self, till: PairedTill) -> None:
        delivered(till)
        assert 0 < self.pace(poll_once(till))["fast_until"] - time.time() <= poll.FAST_S


class TestRefusals:
    def test_strangers_get_problem_json_and_all_the_same(self, till: PairedTill) -> None:
        answers = [
            poll_once(None),
            poll_once(till, bearer="x.y.z"),
            poll_once(till, bearer=till.bearer(aud="x")),
        ]
        bodies = [{**answer.json(), "trace": ""} for answer in answers]
        assert {answer.status for answer in answers} == {401} and all(body == bodies[0] for body in bodies)
        assert answers[0].headers["content-type"] == "application/problem+json"

    def test_a_wrong_clock_is_told_the_time(self, till: PairedTill) -> None:
        answer = poll_once(till, bearer=till.bearer(iat=1000, exp=1500))
        assert (answer.status, answer.json()["code"]) == (401, "clock_skew")
        assert answer.json()["server_time"] == pytest.approx(time.time(), abs=2)

    @pytest.mark.parametrize("query", ["wait=x", "wait=-1", "max=1.5", "wait=99999", "max=٣"])
    def test_a_question_that_cannot_be_read_is_malformed(self, till: PairedTill, query: str) -> None:
        answer = poll_once(till, query)
        assert (answer.status, answer.json()["code"]) == (400, "malformed")

    def test_only_get_is_served(self, till: PairedTill) -> None:
        assert poll_once(till, method="POST").status == 405

    def test_a_revoked_terminal_is_told_so_whatever_was_remembered(self, till: PairedTill) -> None:
        async def scene() -> list[int]:
            bearer = till.bearer()
            first = await ask(till, bearer=bearer)
            await sync_to_async(Terminal.objects.update)(state=Terminal.State.REVOKED)
            await sync_to_async(keyring.forget)(till.terminal.pk)
            for _ in range(50):
                last = await ask(till, bearer=bearer)
                if last.status != 204:
                    break
                await asyncio.sleep(0.02)
            return [first.status, last.status]

        assert run(scene) == [204, 403]


class TestWaiting:
    def test_a_held_poll_is_answered_as_soon_as_a_command_lies_there(self, till: PairedTill) -> None:
        command = reset(till)

        async def scene() -> tuple[Answer, float]:
            held = asyncio.ensure_future(ask(till, "wait=20"))
            await asyncio.sleep(0.3)
            assert not held.done()
            pushed = time.monotonic()
            await sync_to_async(delivery.deliver)(command.pk)
            return await held, time.monotonic() - pushed

        answer, took = run(scene)
        assert answer.tokens == [fresh(command).token] and took < 1.5

    def test_nothing_comes_and_the_wait_ends(self, till: PairedTill) -> None:
        began = time.monotonic()
        assert poll_once(till, "wait=1").status == 204
        assert 0.9 < time.monotonic() - began < 3

    def test_a_lost_wake_up_costs_seconds_not_the_whole_wait(
        self, till: PairedTill, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(poll, "RECHECK_S", 0.3)
        command = reset(till)

        async def scene() -> Answer:
            held = asyncio.ensure_future(ask(till, "wait=20"))
            await asyncio.sleep(0.2)
            await sync_to_async(delivery.deliver)(command.pk)
            return await held

        monkeypatch.setattr(inbox, "WAKE", "rekey:nobody-listens")
        assert run(scene).status == 200

    def test_a_terminal_that_hangs_up_is_not_waited_for(self, till: PairedTill) -> None:
        async def scene() -> float:
            began, gone = time.monotonic(), asyncio.Event()

            async def receive() -> dict[str, str]:
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                """Nobody is there."""

            headers = [(b"authorization", f"Bearer {till.bearer()}".encode())]
            scope = {
                "type": "http",
                "method": "GET",
                "path": "",
                "query_string": b"wait=20",
                "headers": headers,
            }
            held = asyncio.ensure_future(poll.application(scope, receive, send))
            await asyncio.sleep(0.2)
            gone.set()
            await held
            return time.monotonic() - began

        assert run(scene) < 2


class TestTrust:
    def test_after_a_flush_the_answer_comes_from_the_rows(
        self, till: PairedTill, redis_client: redis.Redis
    ) -> None:
        command = delivered(till)
        redis_client.flushall()
        assert poll_once(till).tokens == [command.token]

    def test_after_a_flush_even_empty_comes_from_the_rows(
        self, till: PairedTill, redis_client: redis.Redis
    ) -> None:
        redis_client.flushall()
        assert poll_once(till).status == 204

    def test_with_neither_redis_nor_rows_the_terminal_is_asked_to_come_back(
        self, till: PairedTill, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_: str) -> None:
            raise DatabaseError("away")

        redis_client.flushall()
        monkeypatch.setattr(delivery, "waiting_for", broken)
        answer = poll_once(till)
        assert (answer.status, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) == answer.json()["retry_after"] > 0

    def test_without_redis_a_crowd_is_thinned_and_nobody_is_told_empty(
        self, till: PairedTill, settings: Settings
    ) -> None:
        command = delivered(till)
        settings.REDIS_URL = "unix:///nowhere/redis.sock"

        async def scene() -> list[Answer]:
            bearer = till.bearer()
            return await asyncio.gather(*(ask(till, bearer=bearer) for _ in range(40)))

        answers = run(scene)
        assert {answer.status for answer in answers} <= {200, 503}
        served = [answer for answer in answers if answer.status == 200]
        assert len(served) >= poll.DATABASE_READS and all(
            answer.tokens == [command.token] for answer in served
        )

    def test_while_redis_hangs_an_answer_comes_within_a_second_and_a_half(
        self, till: PairedTill, redis_client: redis.Redis
    ) -> None:
        command = delivered(till)

        async def scene() -> tuple[Answer, float]:
            began = time.monotonic()
            return await ask(till), time.monotonic() - began

        with stopped(redis_client):
            answer, took = run(scene)
        assert answer.tokens == [command.token] and took < 1.5

    def test_an_unexpected_failure_is_a_problem_and_not_a_dropped_connection(
        self, till: PairedTill, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(poll, "_question", None)
        answer = poll_once(till)
        assert (answer.status, answer.json()["code"], answer.json()["retryable"]) == (500, "internal", True)


class TestNotes:
    def test_the_page_learns_that_a_command_was_fetched(self, till: PairedTill) -> None:
        command = delivered(till)
        poll_once(till)
        fetched = fresh(command)
        assert fetched.state == State.FETCHED and fetched.fetched_at is not None

    def test_what_did_not_fit_into_the_answer_was_not_fetched(self, till: PairedTill) -> None:
        first, second = delivered(till, "01"), delivered(till, "03")
        poll_once(till, "max=1")
        assert (fresh(first).state, fresh(second).state) == (State.FETCHED, State.QUEUED)

    def test_it_is_known_when_the_terminal_was_last_seen_and_what_it_said(self, till: PairedTill) -> None:
        told = 'pv=1, fw="4.2.1", bat=83, chg=?1, hwm=41, ks=3, batch=?0, idle=?1'
        poll_once(till, rekey_telemetry=told)
        status, now = TerminalStatus.objects.get(), timezone.now()
        assert (status.battery, status.reported_hwm, status.keyset_version) == (83, 41, 3)
        assert status.unsettled_batch is False
        assert health(till.terminal, now).kind == "online"

    @pytest.mark.parametrize("told", ["", "bat=999", "((", "x" * 300, "hwm=9007199254740993"])
    def test_nonsense_in_the_telemetry_is_not_believed_and_hurts_nobody(
        self, till: PairedTill, told: str
    ) -> None:
        assert poll_once(till, rekey_telemetry=told).status == 204
        assert TerminalStatus.objects.get().battery is None

    def test_many_polls_are_one_write(self, till: PairedTill) -> None:
        writes: list[int] = []

        async def scene() -> None:
            bearer = till.bearer()
            for _ in range(20):
                await ask(till, bearer=bearer)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("terminals.notes.note_seen", lambda seen: writes.append(len(seen)))
            run(scene)
        assert writes == [1]


def test_never_seen_late_and_off_are_told_apart(db: None) -> None:
    terminal, now = make_terminal(), timezone.now()
    kinds = [health(terminal, now).kind]
    status = TerminalStatus.objects.create(terminal=terminal)
    for ago in (40, 101, 301):
        status.last_seen_at = now - timedelta(seconds=ago)
        status.save()
        kinds.append(health(terminal, now).kind)
    assert kinds == ["never", "online", "late", "off"]
