"""When a terminal asks, how fast it gives way, whose time it believes, and over how many connections."""

from __future__ import annotations

import threading
import time
from statistics import mean

import pytest

from terminals.conformance.memory import Reply, problem
from terminals.simulator.client import Client
from terminals.simulator.pacing import BACKOFF_MOST, SLOWEST, Pace
from terminals.simulator.transport import Clock, Connection, Problem
from tests.terminals.machines import KeyedServer, Machine
from tests.terminals.tills import PASSWORDS


class TestPace:
    def test_after_failures_the_span_doubles_and_all_of_it_is_used(self) -> None:
        spans = []
        for failures in range(8):
            pauses = [Pace(failures=failures).back_off(None, SLOWEST) for _ in range(400)]
            limit = min(15 * 2**failures, BACKOFF_MOST)
            assert max(pauses) <= limit and min(pauses) < limit / 10
            spans.append(mean(pauses) / limit)
        assert all(0.4 < span < 0.6 for span in spans)

    def test_a_slow_terminal_backs_off_to_its_own_interval(self) -> None:
        pauses = [Pace(interval=3000, failures=20).back_off(None, SLOWEST) for _ in range(200)]
        assert 900 < max(pauses) <= 3000

    def test_retry_after_is_never_undercut_and_never_believed_beyond_an_hour(self) -> None:
        pauses = [Pace(jitter=15).back_off(120, SLOWEST) for _ in range(200)]
        assert min(pauses) >= 120 and len({round(pause) for pause in pauses}) > 5
        assert Pace().back_off(10**9, SLOWEST) <= SLOWEST + 15

    def test_an_interval_is_spread_by_its_jitter(self) -> None:
        pauses = [Pace(interval=60, jitter=15).pause(0, SLOWEST) for _ in range(300)]
        assert 60 <= min(pauses) < 62 and 73 < max(pauses) <= 75

    def test_two_polls_are_five_seconds_apart_and_three_in_a_hurry(self) -> None:
        pace = Pace(fast_until=100)
        assert (pace.gap(99, SLOWEST), pace.gap(101, SLOWEST)) == (3, 5)

    def test_each_slow_down_costs_five_seconds_until_the_next_start(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        server.closed["commands"] = problem("slow_down")
        for _ in range(2):
            machine.client.step()
        assert machine.client.pace.penalty == 10
        assert machine.client.pace.gap(0, SLOWEST) == 15
        del server.closed["commands"]
        server.issue("reboot")
        machine.client.step()
        assert machine.client.pace.penalty == 0

    def test_a_long_queue_is_fetched_at_once(self, machine: Machine, server: KeyedServer) -> None:
        for _ in range(5):
            server.issue("unlock", op="03")
        assert machine.client.step() == 0
        assert machine.client.step() > 0

    def test_somebody_at_the_machine_shortens_the_wait(self, machine: Machine, server: KeyedServer) -> None:
        machine.client._cap = SLOWEST
        machine.client.pace = Pace(interval=600, jitter=0, fast_until=2**40)
        cid = server.issue(op="03", password="482917")
        machine.client.step()
        machine.client.pace = Pace(interval=600, jitter=0, fast_until=2**40)
        stop = threading.Event()
        version = machine.till.store.version()
        waiting = threading.Thread(target=machine.client._sleep, args=(stop, 600.0, version))
        begun = time.monotonic()
        waiting.start()
        assert machine.till.sign_on("03", "482917").accepted
        waiting.join(10)
        assert not waiting.is_alive()
        assert 2.9 <= time.monotonic() - begun < 8
        machine.client.flush_receipts()
        assert server.outcome(cid) == ["applied", "signed_on"]

    def test_a_command_that_waits_is_asked_for_when_it_said(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        machine.client._cap = SLOWEST
        machine.till.set_busy(True)
        server.issue(op="03", password="482917")
        server.pace.update(interval=600)
        assert 29 <= machine.client.step() <= 30


class TestTheLine:
    def test_everything_goes_over_one_connection(self, machine: Machine, server: KeyedServer) -> None:
        before = server.connections
        for _ in range(5):
            server.issue("unlock", op="03")
            machine.client.step()
        assert server.connections == before
        assert len(server.requests) > 10

    def test_a_connection_that_was_closed_meanwhile_is_opened_again(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        server.lose = ["commands"]
        cid = server.issue("unlock", op="03")
        machine.client.step()
        assert server.outcome(cid) == ["applied"]
        assert not any(line.startswith("unreachable") for line in machine.said)

    def test_what_must_not_happen_twice_is_not_sent_on_a_used_connection(self, server: KeyedServer) -> None:
        line = Connection()
        for _ in range(2):
            with pytest.raises(Problem):
                line.exchange(server.origin, "GET", "commands")
        assert line.opened == 1
        with pytest.raises(Problem):
            line.exchange(server.origin, "POST", "recoveries", body=b"{}", repeatable=False)
        assert line.opened == 2
        line.close()

    def test_a_bearer_is_used_until_thirty_seconds_before_its_end(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        def bearers() -> set[str]:
            return {request.bearer for request in server.requests if request.bearer}

        server.requests.clear()
        machine.client.step()
        for seconds in (200, 200):
            machine.later(seconds)
            server.clock_offset += seconds
            machine.client.step()
        assert len(bearers()) == 1
        machine.later(60)
        server.clock_offset += 60
        machine.client.step()
        assert len(bearers()) == 2

    def test_a_refused_bearer_is_made_anew_once(self, machine: Machine, server: KeyedServer) -> None:
        machine.client.step()
        server.closed["commands"] = problem("invalid_auth")
        server.requests.clear()
        machine.client.step()
        polls = [poll.headers["authorization"] for poll in server.asked("commands")]
        assert len(polls) == len(set(polls)) == 2
        assert machine.state.trouble == "invalid_auth"
        server.requests.clear()
        machine.client.step()
        assert len(server.asked("commands")) == 1


class TestTime:
    def answer(self, machine: Machine, server: KeyedServer, **headers: str) -> None:
        told = problem("clock_skew", server_time=int(time.time()) + 9999)
        answer = Reply(told.status, told.body, {**told.headers, **headers})
        server.answer = lambda request: answer  # type: ignore[method-assign]
        machine.client.step()
        del server.answer

    def test_the_servers_word_is_taken_at_half_of_the_round_trip(self) -> None:
        clock = Clock(lambda: 1000.0)
        clock.learn(5000, 996.0)
        assert clock() == 5004.0
        clock.forget()
        assert clock() == 1000.0

    def test_an_answer_from_a_cache_says_nothing_about_now(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        self.answer(machine, server, Age="7")
        assert machine.clock.offset == 0
        self.answer(machine, server)
        assert abs(machine.clock.offset - 9999) < 2

    def test_an_answer_that_took_long_says_nothing_about_now(
        self, machine: Machine, server: KeyedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("terminals.simulator.transport._ROUND_TRIP_MAX", 0.0)
        self.answer(machine, server)
        assert machine.clock.offset == 0

    def test_a_start_forgets_what_was_learned(self, machine: Machine, server: KeyedServer) -> None:
        server.clock_offset = 5000
        server.issue("reboot")
        machine.client.step()
        assert machine.said.count("clock corrected") == 2

    def test_an_etag_is_kept_only_when_all_it_named_was_dealt_with(
        self, machine: Machine, server: KeyedServer
    ) -> None:
        server.sticky = True
        server.issue("unlock", op="03")
        machine.client.step()
        machine.client.step()
        polls = [poll.headers for poll in server.asked("commands")]
        assert "if-none-match" not in polls[-2] and "if-none-match" in polls[-1]
        server.tokens = []
        machine.client.step()
        machine.client.step()
        polls = [poll.headers for poll in server.asked("commands")]
        assert "if-none-match" not in polls[-1]


def test_the_loop_boots_runs_and_hangs_up(machine: Machine, server: KeyedServer) -> None:
    boots = machine.state.boots
    machine.client.run(threading.Event(), once=True)
    assert machine.state.boots == boots + 1
    client = Client(machine.till, machine.clock, interval_cap=0.1)
    stop = threading.Event()
    running = threading.Thread(target=client.run, args=(stop,))
    running.start()
    machine.till.sign_on("03", PASSWORDS["03"])
    stop.set()
    running.join(10)
    assert not running.is_alive()
