"""The breaker turns callers away after a failure, and never because things go well."""

from __future__ import annotations

import threading

import pytest

from portal.breaker import Breaker, Resting


def fail(breaker: Breaker) -> None:
    with pytest.raises(OSError, match="down"), breaker.guard():
        raise OSError("down")


def test_callers_side_by_side_do_not_hinder_each_other() -> None:
    breaker = Breaker(5, width=2)
    with breaker.guard(), breaker.guard():
        pass
    with breaker.guard():
        pass


def test_after_a_failure_everybody_rests() -> None:
    breaker = Breaker(5)
    fail(breaker)
    with pytest.raises(Resting), breaker.guard():
        pytest.fail("the body ran")


def test_after_the_pause_one_goes_first_and_the_others_wait_for_its_luck() -> None:
    breaker = Breaker(0)
    fail(breaker)
    breaker._pause_s = 60
    with breaker.guard(), pytest.raises(Resting), breaker.guard():
        pytest.fail("a second one went in")
    with breaker.guard(), breaker.guard():
        pass


def test_no_more_than_its_width_pile_up_on_something_that_hangs() -> None:
    breaker = Breaker(5, width=3)
    inside, gate = threading.Barrier(4), threading.Event()

    def hang() -> None:
        with breaker.guard():
            inside.wait(5)
            gate.wait(5)

    threads = [threading.Thread(target=hang) for _ in range(3)]
    for thread in threads:
        thread.start()
    inside.wait(5)
    with pytest.raises(Resting), breaker.guard():
        pytest.fail("a fourth one went in")
    gate.set()
    for thread in threads:
        thread.join()


def test_reset_forgets() -> None:
    breaker = Breaker(5)
    fail(breaker)
    breaker.reset()
    with breaker.guard():
        pass
