"""The poll: what a terminal is told, how soon, and that an empty answer is never a guess."""

from __future__ import annotations

import asyncio
import os
import re
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

from terminals import delivery, inbox
from terminals.headers import parse_dictionary
from terminals.health import health
from terminals.life import keyring
from terminals.models import Command, Terminal, TerminalStatus
from terminals.polling import answers, desk, pacing, poll, seen
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

    def test_every_answer_carries_a_trace_of_its_own_and_no_store(self, till: PairedTill) -> None:
        answers = [poll_once(till), poll_once(None), poll_once(till, "wait=x")]
        assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
        traces = {answer.headers["rekey-trace"] for answer in answers}
        assert len(traces) == 3 and all(re.fullmatch("[0-9a-f]{16}", trace) for trace in traces)


class TestPace:
    def pace(self, answer: Answer) -> dict[str, Any]:
        """The hint in `Rekey-Poll`."""
        hint = parse_dictionary(answer.headers["rekey-poll"])
        assert hint is not None
        return hint

    @pytest.mark.parametrize(("power", "interval"), [("mains", 60), ("cellular", 300)])
    def test_idle_terminals_come_back_by_their_power(
        self, till: PairedTill, power: str, interval: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Terminal.objects.update(power=power)
        monkeypatch.setattr(desk, "CALM_S", 0)
        hint = self.pace(poll_once(till))
        assert hint == {"interval": interval, "jitter": 15, "wait": 25}

    def test_a_terminal_may_have_a_pace_of_its_own(self, till: PairedTill) -> None:
        Terminal.objects.update(poll_interval_s=20)
        hint = self.pace(poll_once(till))
        assert hint["interval"] + hint["jitter"] == 35

    def test_while_somebody_hurries_the_terminal_comes_back_fast(self, till: PairedTill) -> None:
        until = int(time.time()) + 600
        inbox.hurry(till.terminal.pk, until)
        answer = poll_once(till)
        assert answer.status == 204 and self.pace(answer)["fast_until"] == until

    def test_a_hurry_that_is_over_is_not_told(self, till: PairedTill) -> None:
        inbox.hurry(till.terminal.pk, int(time.time()) - 1)
        assert "fast_until" not in self.pace(poll_once(till))

    def test_while_a_command_waits_the_terminal_comes_back_fast(self, till: PairedTill) -> None:
        delivered(till)
        assert 0 < self.pace(poll_once(till))["fast_until"] - time.time() <= pacing.FAST_S


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
            await asyncio.sleep(0.2)
            last = await ask(till, bearer=bearer)
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

    def test_news_of_what_the_terminal_has_already_leave_it_waiting_for_the_next(
        self, till: PairedTill
    ) -> None:
        first, second = delivered(till, "01"), reset(till, "03")
        etag = poll_once(till).headers["etag"]

        async def scene() -> Answer:
            held = asyncio.ensure_future(ask(till, "wait=20", if_none_match=etag))
            await asyncio.sleep(0.3)
            known = delivery.waiting_for
            await sync_to_async(lambda: inbox.push(till.terminal.pk, known(till.terminal.pk)))()
            await asyncio.sleep(0.3)
            assert not held.done()
            await sync_to_async(delivery.deliver)(second.pk)
            return await held

        assert run(scene).tokens == [fresh(first).token, fresh(second).token]

    def test_nothing_comes_and_the_wait_ends(self, till: PairedTill) -> None:
        began = time.monotonic()
        assert poll_once(till, "wait=1").status == 204
        assert 0.9 < time.monotonic() - began < 3

    def test_a_lost_wake_up_costs_the_wait_at_the_most(
        self, till: PairedTill, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        command = reset(till)

        async def scene() -> Answer:
            held = asyncio.ensure_future(ask(till, "wait=1"))
            await asyncio.sleep(0.3)
            await sync_to_async(delivery.deliver)(command.pk)
            return await held

        monkeypatch.setattr(inbox, "NEWS", "rekey:nobody-listens")
        assert run(scene).tokens == [fresh(command).token]

    def test_a_second_question_ends_the_first(self, till: PairedTill) -> None:
        async def scene() -> tuple[Answer, bool]:
            bearer = till.bearer()
            first = asyncio.ensure_future(ask(till, "wait=20", bearer=bearer))
            await asyncio.sleep(0.2)
            second = asyncio.ensure_future(ask(till, "wait=20", bearer=bearer))
            answer = await asyncio.wait_for(first, 2)
            await asyncio.sleep(0.2)
            still_held = not second.done()
            second.cancel()
            return answer, still_held

        answer, still_held = run(scene)
        assert answer.status == 204 and still_held

    def test_what_comes_after_a_terminal_has_hung_up_was_not_fetched(self, till: PairedTill) -> None:
        command = reset(till)
        sent: list[Any] = []

        async def scene() -> None:
            gone = asyncio.Event()

            async def receive() -> dict[str, str]:
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                sent.append(message)

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
            await sync_to_async(delivery.deliver)(command.pk)
            await asyncio.wait_for(held, 2)

        run(scene)
        assert sent == [] and fresh(command).state == State.QUEUED


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
        def broken(_: object) -> None:
            raise DatabaseError("away")

        redis_client.flushall()
        monkeypatch.setattr(delivery, "waiting_for_all", broken)
        answer = poll_once(till)
        assert (answer.status, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) == answer.json()["retry_after"] > 0

    def test_without_redis_a_crowd_shares_queries_and_nobody_is_told_empty(
        self, till: PairedTill, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tills = [till, *(pair_on_paper() for _ in range(11))]
        tokens = [delivered(one, "01", sealed_password=None, choose=True).token for one in tills]
        monkeypatch.setattr(desk, "ROWS_MAX", 8)
        settings.REDIS_URL = "unix:///nowhere/redis.sock"

        async def scene() -> list[Answer]:
            return await asyncio.gather(*(ask(one) for one in tills))

        answers = run(scene)
        assert {answer.status for answer in answers} <= {200, 503}
        given = [
            (answer.tokens, [token])
            for answer, token in zip(answers, tokens, strict=True)
            if answer.status == 200
        ]
        assert len(given) >= 8 and all(got == right for got, right in given)

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

    @pytest.mark.parametrize("stock", [False, True])
    def test_an_unexpected_failure_is_a_problem_and_not_a_dropped_connection(
        self, till: PairedTill, stock: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answers, "nothing", None)
        answer = run(lambda: ask(till, stock=stock))
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

    def test_it_is_known_at_once_when_the_terminal_was_last_seen(self, till: PairedTill) -> None:
        poll_once(till)
        assert not TerminalStatus.objects.exists()
        assert health(till.terminal, timezone.now()).kind == "online"

    @pytest.mark.parametrize("told", ["", "bat=999", "((", "x" * 300, "hwm=9007199254740993", "é"])
    def test_nonsense_in_the_telemetry_is_not_believed_and_hurts_nobody(
        self, till: PairedTill, told: str
    ) -> None:
        assert poll_once(till, rekey_telemetry=told).status == 204
        assert seen.copy() == 1 and TerminalStatus.objects.get().battery is None

    def test_many_polls_are_one_note(self, till: PairedTill, redis_client: redis.Redis) -> None:
        async def scene() -> None:
            bearer = till.bearer()
            for _ in range(20):
                await ask(till, bearer=bearer)

        redis_client.config_resetstat()
        run(scene)
        assert redis_client.info("commandstats")["cmdstat_hset"]["calls"] == 1

    def test_without_redis_the_rows_learn_who_called(self, till: PairedTill, settings: Settings) -> None:
        settings.REDIS_URL = "unix:///nowhere/redis.sock"
        told = "bat=83"
        assert poll_once(till, rekey_telemetry=told).status == 204
        status = TerminalStatus.objects.get()
        assert (status.battery, status.last_status) == (83, 204)

    def test_what_a_terminal_was_answered_is_on_record(self, till: PairedTill) -> None:
        delivered(till)
        poll_once(till)
        assert seen.latest([till.terminal.pk])[till.terminal.pk].status == 200


def test_never_seen_late_and_off_are_told_apart(db: None) -> None:
    terminal, now = make_terminal(), timezone.now()
    kinds = [health(terminal, now).kind]
    status = TerminalStatus.objects.create(terminal=terminal)
    for ago in (40, 101, 301):
        status.last_seen_at = now - timedelta(seconds=ago)
        status.save()
        kinds.append(health(terminal, now).kind)
    assert kinds == ["never", "online", "late", "off"]
