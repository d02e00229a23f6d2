"""Wherever the power fails on an eventful day, the terminal and the real server agree at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminals.protocol import REBOOT
from terminals.simulator import failpoints
from tests.machine.machine import COMMITS, SENDS, TerminalAndServer
from tests.machine.scene import around_the_commit, counted, cut_at

pytestmark = pytest.mark.django_db(transaction=True)


def an_eventful_day(scene: TerminalAndServer) -> None:
    """Each commit, and each request, at least once."""
    scene.somebody_resets_a_password("03", choose=False)
    scene.all_goes_well()
    scene.somebody_signs_on("03")
    scene.somebody_resets_a_password("01", choose=True)
    scene.all_goes_well()
    scene.somebody_chooses("01")
    scene.staff_send_something(REBOOT)
    scene.all_goes_well()
    scene.all_goes_well()
    scene.the_terminal_rolls_its_keys("both")
    scene.all_goes_well()
    scene.all_goes_well()
    scene.the_terminal_is_paired_again([])
    scene.all_goes_well()
    scene.numbers_only_rise()
    scene.the_password_in_force_is_of_the_newest_command_carried_out()


def points_of_the_day() -> list[str]:
    """Where the power could fail, in order."""
    passed: dict[str, None] = {}
    scene = TerminalAndServer()
    try:
        failpoints.hook = lambda point: passed.update({point: None})
        an_eventful_day(scene)
    finally:
        scene.teardown()
    return [point for point in passed if point.partition("/")[0] in (*COMMITS, *SENDS)]


@pytest.mark.slow
def test_wherever_the_power_fails_both_sides_agree_in_the_end(issuer_keys: Path, quiet_logs: None) -> None:
    counted.clear()
    cut_at.clear()
    points = points_of_the_day()
    for chosen in points:
        scene = TerminalAndServer()
        try:
            scene.cut_when(lambda point, chosen=chosen: point == chosen)  # type: ignore[misc]
            an_eventful_day(scene)
        finally:
            scene.teardown()
    print(f"the power failed at {len(around_the_commit())} points around a commit, {len(cut_at)} in all")
    assert cut_at.keys() == set(points)
    assert len(around_the_commit()) >= 40
