"""The status page says what has happened, in words and seconds, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from django.utils.translation import override

from recovery.models import Recovery
from recovery.phases import WORDS
from recovery.status import status_of
from terminals import commands
from terminals.commands import CLEARED, HANDED_OVER, UNHEARD
from terminals.models import Command, TerminalStatus
from tests.cast import PairedTill
from tests.recovery.visitor import Visitor, make_shop

pytestmark = pytest.mark.django_db
STATES = Command.State


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


@pytest.fixture
def sent(till: PairedTill) -> datetime:
    """When the password of this visitor was sent off."""
    Visitor().dispatch()
    return Command.objects.get().created_at


def seen_at(till: PairedTill, at: datetime) -> None:
    TerminalStatus.objects.update_or_create(terminal=till.terminal, defaults={"last_seen_at": at})


def look(now: datetime, **changes: Any) -> Any:
    Command.objects.update(**changes)
    recovery = Recovery.objects.select_related("command__terminal", "merchant", "terminal").get()
    with override("en"):
        return status_of(recovery, now)


def test_queued_tells_when_the_terminal_was_seen(till: PairedTill, sent: datetime) -> None:
    seen_at(till, timezone.now() - timedelta(seconds=40))
    view = look(sent + timedelta(seconds=12))
    assert (view.phase, view.live, view.can_withdraw, view.torn) == ("queued", True, True, False)
    assert "40 s ago" in view.lede
    assert view.lip.seconds == 12
    assert [line.label for line in view.lines] == ["Submitted"]


@pytest.mark.parametrize("age", [None, timedelta(hours=2)])
def test_an_offline_terminal_is_called_offline(
    till: PairedTill, sent: datetime, age: timedelta | None
) -> None:
    if age:
        seen_at(till, timezone.now() - age)
    view = look(sent)
    assert (view.phase, view.ply, view.show_checks) == ("offline", "wait", True)


def test_the_lines_count_the_seconds(till: PairedTill, sent: datetime) -> None:
    fetched, applied = sent + timedelta(seconds=14), sent + timedelta(seconds=16)
    view = look(applied, state=STATES.APPLIED, fetched_at=fetched, applied_at=applied, finished_at=applied)
    assert [(line.label, line.took) for line in view.lines] == [
        ("Submitted", ""),
        ("Fetched by the terminal", "+14 s"),
        ("In force", "+2 s"),
    ]
    assert (view.total, view.torn, view.stamp_at) == ("16 s", True, None)
    assert view.lip is None


def test_the_stamp_needs_a_sign_on(till: PairedTill, sent: datetime) -> None:
    view = look(sent, state=STATES.APPLIED, applied_at=sent, signed_on_at=sent + timedelta(minutes=1))
    assert (view.phase, view.live) == ("signed_on", False)
    assert "王芳" in view.title


def test_deferred_and_choosing_are_told_apart(till: PairedTill, sent: datetime) -> None:
    assert look(sent, state=STATES.FETCHED, fetched_at=sent).phase == "fetched"
    assert look(sent, retry_at=sent + timedelta(minutes=1)).phase == "deferred"
    chosen = {"state": STATES.APPLIED, "args": {"choose": True}, "applied_at": sent}
    assert look(sent, retry_at=None, **chosen).phase == "choosing"
    assert look(sent + timedelta(minutes=16)).phase == "unanswered"


@pytest.mark.parametrize("state", [STATES.REJECTED, STATES.EXPIRED, STATES.CANCELLED, STATES.SUPERSEDED])
def test_a_bad_end_is_a_red_line_and_never_a_torn_edge(till: PairedTill, sent: datetime, state: str) -> None:
    view = look(sent, state=state, finished_at=sent, reason="policy_rejected")
    assert (view.ply, view.torn, view.live, view.total) == ("stop", False, False, "")
    assert view.lines[-1].bad


def test_every_phase_has_its_words(till: PairedTill, sent: datetime) -> None:
    phases = {look(sent, state=state, reason="", finished_at=sent).phase for state in STATES}
    assert phases <= set(WORDS)


def test_the_fragment_says_when_to_stop_asking(till: PairedTill) -> None:
    visitor = Visitor()
    visitor.dispatch()
    assert visitor.get("status_fragment")["Rekey-Live"] == "1"
    Command.objects.update(state=STATES.APPLIED, applied_at=timezone.now(), signed_on_at=timezone.now())
    assert visitor.get("status_fragment")["Rekey-Live"] == "0"


def test_a_withdrawal_that_crossed_its_token_does_not_say_that_nothing_changed(
    till: PairedTill, sent: datetime
) -> None:
    crossed = {"state": Command.State.CANCELLED, "reason": HANDED_OVER, "fetched_at": sent}
    view = look(sent, finished_at=sent, **crossed)
    assert (view.phase, view.live) == ("cancelling", True)
    assert look(sent, reason="").phase == "cancelled"


def test_what_the_terminal_has_fetched_can_be_asked_back(till: PairedTill, sent: datetime) -> None:
    assert look(sent, state=STATES.FETCHED, fetched_at=sent).can_withdraw
    view = look(sent, state=STATES.CANCELLING)
    assert (view.phase, view.live, view.can_withdraw) == ("cancelling", True, False)
    assert "whether it was in time" in view.lede


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({"state": STATES.EXPIRED, "reason": "expired"}, "expired"),
        ({"state": STATES.EXPIRED, "reason": "expired", "fetched_at": timezone.now()}, "unheard"),
        ({"state": STATES.CANCELLED, "reason": UNHEARD, "fetched_at": timezone.now()}, "unheard"),
        ({"state": STATES.EXPIRED, "reason": CLEARED}, "cleared"),
        ({"state": STATES.EXPIRED, "reason": CLEARED, "fetched_at": timezone.now()}, "unheard"),
        ({"state": STATES.EXPIRED, "reason": "quarantined"}, "stopped"),
        ({"state": STATES.EXPIRED, "reason": "swapped"}, "swapped"),
    ],
)
def test_an_end_that_only_the_terminal_could_explain_does_not_say_that_the_old_password_holds(
    till: PairedTill, sent: datetime, changes: dict[str, Any], phase: str
) -> None:
    view = look(sent, finished_at=sent, **changes)
    assert (view.phase, view.live, view.torn) == (phase, False, False)
    assert ("Try the new password first" in view.lede) == (phase == "unheard")


def test_what_came_late_says_after_what(till: PairedTill, sent: datetime) -> None:
    command = Command.objects.get()
    commands.move(command, STATES.CANCELLED, actor="user:1")
    commands.applied(command, timezone.now())
    view = look(timezone.now())
    assert view.title == "The new password is in force after all" and view.torn
    assert {line.label for line in view.lines} >= {"Submitted", "Withdrawn", "In force"}


def test_a_terminal_that_missed_a_call_is_called_late_and_says_what_to_look_at(
    till: PairedTill, sent: datetime
) -> None:
    seen_at(till, timezone.now() - timedelta(minutes=4))
    view = look(sent)
    assert (view.phase, view.ply, view.show_checks) == ("late", "wait", True)


def test_a_terminal_that_was_never_seen_is_not_said_to_have_been_seen(
    till: PairedTill, sent: datetime
) -> None:
    assert look(sent).lede.startswith("It has not called yet")
