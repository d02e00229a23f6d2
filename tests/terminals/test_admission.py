"""Strangers at the poll: looked up together, checked a few at a time, never at the cost of those we know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError

from terminals import authentication, inbox, jose
from terminals.authentication import Owner
from terminals.models import Terminal
from terminals.polling import admission, poll
from terminals.polling.admission import Failures, Turnstile
from terminals.polling.bearers import Pass
from terminals.polling.clerk import Clerk, Overcrowded, Shared
from tests.cast import PairedTill, pair_on_paper
from tests.terminals.asgi import Answer, ask, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def complete_inboxes(clean_redis: None) -> None:
    """A sweeper has been here."""
    assert inbox.rebuild(lambda: None)


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many keys each query asked for."""
    sizes: list[int] = []
    true = authentication.owners_of

    def counting(kids: Collection[str]) -> dict[str, Owner]:
        sizes.append(len(kids))
        return true(kids)

    monkeypatch.setattr(authentication, "owners_of", counting)
    return sizes


async def settled(till: PairedTill) -> None:
    """The poll listens to the news; what it knew before that it has forgotten."""
    await ask(till)
    await asyncio.sleep(0.1)


class TestLookingUp:
    def test_whoever_comes_together_shares_a_query(self, till: PairedTill, lookups: list[int]) -> None:
        tills = [till, *(pair_on_paper() for _ in range(19))]

        async def scene() -> list[Answer]:
            return await asyncio.gather(*(ask(one) for one in tills))

        assert {answer.status for answer in run(scene)} == {204}
        assert sum(lookups) == 20 and len(lookups) <= 3

    def test_the_next_bearer_of_a_terminal_needs_no_query(self, till: PairedTill, lookups: list[int]) -> None:
        async def scene() -> None:
            await settled(till)
            lookups.clear()
            for _ in range(3):
                assert (await ask(till)).status == 204

        run(scene)
        assert lookups == [1]

    def test_a_stranger_is_looked_up_once(self, till: PairedTill, lookups: list[int]) -> None:
        bearer = till.bearer()
        Terminal.objects.all().update(sign_kid=None)

        async def scene() -> list[Answer]:
            return [await ask(till, bearer=bearer) for _ in range(5)]

        assert {answer.status for answer in run(scene)} == {401} and lookups == [1]

    def test_what_is_no_bearer_is_not_looked_up_at_all(self, till: PairedTill, lookups: list[int]) -> None:
        async def scene() -> list[Answer]:
            return [
                await ask(till, bearer=odd) for odd in ("x", "a.b.c", "x" * 5000, "..", till.bearer() + "=")
            ]

        assert {answer.status for answer in run(scene)} == {401} and lookups == []

    def test_without_a_database_strangers_come_back_later_and_those_we_know_are_served(
        self, till: PairedTill, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_: object) -> Any:
            raise DatabaseError("away")

        async def scene() -> list[Answer]:
            await settled(till)
            known, fresh = till.bearer(), till.bearer(jti="another1")
            first = await ask(till, bearer=known)
            current = poll.current.get()
            current.admission._owners = Shared(current.clerks[0], broken, 10)
            current.bearers._owners.clear()
            return [first, await ask(till, bearer=known), await ask(till, bearer=fresh)]

        answers = run(scene)
        assert [answer.status for answer in answers] == [204, 204, 503]
        assert int(answers[2].headers["retry-after"]) > 0

    def test_it_is_the_same_under_a_server_that_is_not_ours(self, till: PairedTill) -> None:
        async def scene() -> list[int]:
            known, forged = till.bearer(), impostors(till, 1)[0]
            answers = [await ask(till, bearer=bearer, stock=True) for bearer in (known, known, forged, "x")]
            return [answer.status for answer in answers]

        assert run(scene) == [204, 204, 401, 401]


class TestForgers:
    def test_after_some_failures_a_key_is_not_checked_for_every_forger(
        self, till: PairedTill, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scene() -> list[Answer]:
            await settled(till)
            known = till.bearer()
            answers = [await ask(till, bearer=known)]
            answers += [await ask(till, bearer=forged) for forged in impostors(till, 30)]
            elsewhere = await ask(till, bearer=till.bearer(jti="elsewhere"), address="198.51.100.7")
            beside = await ask(till, bearer=till.bearer(jti="besides1"))
            return [*answers, await ask(till, bearer=known), elsewhere, beside]

        monkeypatch.setattr(admission, "FORGERY_S", 60.0)
        statuses = [answer.status for answer in run(scene)]
        # What it has shown before, and what is new from elsewhere, is served; only what nobody can tell from
        # the forger's has to come back.
        assert statuses[0] == 204 and statuses[-3:] == [204, 204, 503]
        assert statuses[1:12] == [401] * 11 and statuses[12:31] == [503] * 19

    def test_who_shares_an_address_with_a_forger_gets_a_turn_now_and_then(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = [1000.0]
        monkeypatch.setattr(admission, "time", SimpleNamespace(monotonic=lambda: clock[0]))
        forgeries, turns = Failures(10, 0.5), list[bool]()
        for _ in range(200):
            turns.append(not forgeries.are_too_many("kid 192.0.2.1"))
            if turns[-1]:
                forgeries.count("kid 192.0.2.1")
            clock[0] += 0.05
        assert turns[:10] == [True] * 10 and 25 <= sum(turns) <= 31 and sum(turns[-50:]) == 5

    def test_there_is_an_end_to_what_is_remembered_of_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admission, "FAILURES_MAX", 3)
        failures = Failures(0, 60)
        for number in range(9):
            failures.count(str(number))
        assert [failures.are_too_many(str(number)) for number in range(9)] == [False] * 6 + [True] * 3

    def test_whoever_names_keys_that_nobody_has_is_soon_not_looked_up_any_more(
        self, till: PairedTill, lookups: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(admission, "UNKNOWN_FREE", 5)
        monkeypatch.setattr(admission, "UNKNOWN_S", 60.0)
        other, late = pair_on_paper(), pair_on_paper()
        strangers = [pair_on_paper() for _ in range(12)]
        bearers = [one.bearer() for one in strangers]
        Terminal.objects.filter(pk__in=[one.terminal.pk for one in strangers]).update(sign_kid=None)

        async def scene() -> list[int]:
            await settled(till)
            await ask(till)
            answers = [await ask(None, authorization=f"Bearer {bearer}") for bearer in bearers]
            answers += [await ask(till), await ask(other, address="198.51.100.7"), await ask(late)]
            return [answer.status for answer in answers]

        # Known terminals, and new ones from elsewhere, are served as ever.
        assert run(scene) == [401] * 6 + [503] * 6 + [204, 204, 503]
        assert sum(lookups) == 2 + 6 + 1


def passes(found: list[Pass | Exception]) -> list[Pass]:
    """All of them were let in."""
    assert all(isinstance(one, Pass) for one in found)
    return [one for one in found if isinstance(one, Pass)]


def impostors(till: PairedTill, count: int) -> list[str]:
    """Bearers in the name of the till, signed by nobody."""
    signed = [till.bearer(jti=f"forged{number:03}").rpartition(".")[0] for number in range(count)]
    return [f"{one}.{jose.b64u(bytes(64))}" for one in signed]


class TestTurns:
    async def test_a_turn_of_the_loop_lets_a_few_through(self) -> None:
        turnstile, order = Turnstile(), list[int]()

        def note(number: int, _: object) -> None:
            order.append(number)

        futures = [turnstile.enter() for _ in range(5)]
        for number, future in enumerate(futures):
            future.add_done_callback(partial(note, number))
        passed = []
        for _ in range(4):
            passed.append(sum(future.done() for future in futures))
            await asyncio.sleep(0)
        assert passed == [4, 5, 5, 5] and order == [0, 1, 2, 3, 4]

    async def test_nobody_slips_past_those_who_wait(self) -> None:
        turnstile = Turnstile()
        assert [turnstile.slip_through() for _ in range(5)] == [True] * 4 + [False]
        waiting = turnstile.enter()
        assert not waiting.done() and not turnstile.slip_through()
        await asyncio.sleep(0)
        assert waiting.done() and turnstile.slip_through()

    async def test_there_is_an_end_to_the_queue(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admission, "QUEUE_MAX", 3)
        turnstile = Turnstile()
        for _ in range(admission.CHECKS_A_TURN + 3):
            turnstile.enter()
        with pytest.raises(Overcrowded):
            turnstile.enter()

    def test_a_crowd_after_an_outage_is_asked_back_at_different_times(
        self, till: PairedTill, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(admission, "QUEUE_MAX", 2)
        monkeypatch.setattr(admission, "CHECKS_A_SECOND", 2.0)
        bearers = [till.bearer(jti=f"number{n:04}") for n in range(40)]

        async def scene() -> list[Answer]:
            await ask(till, bearer=bearers[0])
            return await asyncio.gather(*(ask(till, bearer=bearer) for bearer in bearers[1:]))

        away = [answer for answer in run(scene) if answer.status == 503]
        assert len(away) >= 30 and len({answer.headers["retry-after"] for answer in away}) > 5


class TestChanges:
    def test_a_terminal_that_is_stopped_while_it_is_checked_is_not_remembered(self, till: PairedTill) -> None:
        async def scene() -> list[int]:
            bearer = till.bearer()
            asked = asyncio.ensure_future(ask(till, bearer=bearer))
            await asyncio.sleep(0)
            poll.current.get().bearers.evict(till.terminal.pk)
            first = await asked
            await sync_to_async(Terminal.objects.update)(state=Terminal.State.REVOKED)
            return [first.status, (await ask(till, bearer=bearer)).status]

        assert run(scene) == [204, 403]

    def test_a_terminal_that_is_stopped_while_it_waits_for_its_turn_is_looked_up_again(
        self, till: PairedTill
    ) -> None:
        async def scene() -> list[str]:
            await settled(till)
            await ask(till)
            await sync_to_async(Terminal.objects.update)(state=Terminal.State.REVOKED)
            current, found = poll.current.get(), list[Pass | Exception]()
            headers = [f"Bearer {till.bearer(jti=f'waiting{n}')}".encode() for n in range(6)]
            for header in headers:
                current.admission.ask(header, "192.0.2.1", found.append)
            before = len(found)
            current.bearers.evict(till.terminal.pk)
            async with asyncio.timeout(5):
                while len(found) < 6:  # noqa: ASYNC110 - a thread finds it in the rows
                    await asyncio.sleep(0.01)
            return ["-" if one.refusal is None else one.refusal.code for one in passes(found)] + [str(before)]

        assert run(scene) == ["-"] * 4 + ["revoked"] * 2 + ["4"]

    def test_a_terminal_that_calls_far_too_often_is_slowed_down(self, till: PairedTill) -> None:
        async def scene() -> list[Answer]:
            bearer = till.bearer()
            return [await ask(till, bearer=bearer) for _ in range(30)]

        answers = run(scene)
        slowed = [answer for answer in answers if answer.status == 429]
        assert {answer.status for answer in answers} == {204, 429} and len(slowed) >= 5
        assert slowed[0].json()["code"] == "slow_down" and slowed[0].headers["retry-after"] == "5"


class TestClerk:
    async def test_what_hangs_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("terminals.polling.clerk.PATIENCE_S", 0.1)
        clerk = Clerk("test")
        with pytest.raises(DatabaseError):
            await clerk.do(time.sleep, 0.3)
        await asyncio.sleep(0.3)
        assert await clerk.do(lambda: 1) == 1
        await clerk.close()

    async def test_a_broken_connection_is_replaced_and_the_call_tried_again(self) -> None:
        clerk, tries = Clerk("test"), []

        def call() -> int:
            tries.append(1)
            if len(tries) == 1:
                raise DatabaseError("gone")
            return len(tries)

        assert await clerk.do(call) == 2
        await clerk.close()
