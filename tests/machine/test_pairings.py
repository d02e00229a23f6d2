"""Pairings that are never finished: the terminal goes on as who it was."""

from __future__ import annotations

import pytest

from tests.machine.link import Fault
from tests.machine.machine import TerminalAndServer
from tests.machine.test_key_rolls import is_let_in, scene

__all__ = ["scene"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_that_was_overtaken_by_another_is_over(scene: TerminalAndServer) -> None:
    scene.the_terminal_is_paired_again([Fault.NONE, Fault.LOSE_REQUEST])
    scene.the_terminal_is_paired_again([Fault.LOSE_REPLY])
    scene.round([])
    assert is_let_in(scene)


def test_one_that_was_not_confirmed_for_a_day_is_over(scene: TerminalAndServer) -> None:
    scene.the_terminal_is_paired_again([Fault.NONE, Fault.LOSE_REQUEST])
    scene.time_passes(90_000)
    scene.the_worker_works()
    scene.round([])
    assert is_let_in(scene)


def test_one_that_came_between_a_key_roll_and_its_answer_leaves_the_new_key(scene: TerminalAndServer) -> None:
    scene.the_terminal_rolls_its_keys("sign")
    scene.round([Fault.NONE, Fault.LOSE_REPLY])
    scene.the_terminal_is_paired_again([Fault.NONE, Fault.LOSE_REQUEST])
    scene.time_passes(90_000)
    scene.the_worker_works()
    scene.round([])
    assert is_let_in(scene)


def test_one_that_the_server_has_confirmed_is_never_given_up(scene: TerminalAndServer) -> None:
    scene.the_terminal_is_paired_again([Fault.NONE, Fault.LOSE_REPLY])
    assert is_let_in(scene)
    assert scene.till.store.load().pairing is None


def test_one_that_is_in_force_is_kept_though_another_was_begun_since(scene: TerminalAndServer) -> None:
    scene.the_terminal_is_paired_again([Fault.NONE, Fault.LOSE_REPLY])
    scene.the_terminal_is_paired_again([Fault.LOSE_REPLY])
    scene.round([])
    assert is_let_in(scene)


def test_a_key_that_was_taken_away_opens_nothing_though_redis_forgot_who_was_told(
    scene: TerminalAndServer,
) -> None:
    scene.all_goes_well()
    scene.the_terminal_is_reported("stolen")
    scene.the_terminal_is_found()
    scene.redis_is_wiped()
    scene.round([])
    assert scene.till.store.load().trouble == "invalid_auth"
