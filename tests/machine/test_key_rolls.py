"""Key rolls that arrive when nobody waits for them any more: the terminal is never out for good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from terminals import jose
from tests.machine.link import Fault
from tests.machine.machine import TerminalAndServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(issuer_keys: Path, quiet_logs: None) -> Iterator[TerminalAndServer]:
    """A terminal and its server, who agree on everything at the end whatever happened."""
    scene = TerminalAndServer()
    yield scene
    scene.teardown()


def is_let_in(scene: TerminalAndServer) -> bool:
    """Whether two rounds in peace are answered."""
    scene.all_goes_well()
    scene.all_goes_well()
    state = scene.till.store.load()
    return not state.trouble and jose.kid16(state.sign_key) == scene.row.sign_kid


def test_a_roll_that_arrives_after_the_terminal_was_refused_another_locks_nobody_out(
    scene: TerminalAndServer,
) -> None:
    scene.the_terminal_rolls_its_keys("sign")
    scene.round([Fault.DELAY])
    scene.the_terminal_is_reported_lost_and_found("03")
    scene.something_arrives_late(0)
    scene.time_passes(90_000)
    scene.the_worker_works()
    assert is_let_in(scene)


def test_not_even_a_terminal_that_has_forgotten_what_it_offered(scene: TerminalAndServer) -> None:
    scene.the_terminal_rolls_its_keys("sign")
    scene.round([Fault.DELAY])
    scene.till.alter(rolling=None)
    scene.something_arrives_late(0)
    scene.time_passes(90_000)
    scene.the_worker_works()
    assert is_let_in(scene)


def test_nor_does_one_that_arrives_with_the_first_request_under_its_key(scene: TerminalAndServer) -> None:
    scene.the_terminal_rolls_its_keys("sign")
    scene.round([Fault.DELAY])
    scene.round([Fault.NONE, Fault.DELAY])
    scene.the_terminal_is_reported_lost_and_found("03")
    scene.the_terminal_is_reported_lost_and_found("03")
    scene.something_arrives_late(0)
    scene.something_arrives_late(0)
    assert is_let_in(scene)


def test_a_roll_that_nobody_used_lapses_and_the_next_one_goes_through(scene: TerminalAndServer) -> None:
    scene.the_terminal_rolls_its_keys("both")
    scene.round([Fault.NONE, Fault.LOSE_REQUEST])
    scene.time_passes(90_000)
    scene.the_worker_works()
    old = scene.row.sign_kid
    assert scene.row.pending_sign_kid is None
    assert is_let_in(scene)
    assert scene.row.sign_kid != old
