"""Somebody stands at the terminal: the match number of its screen, typed on the phone (protocol §8).

It is asked after the code from the text message, so a stranger learns nothing from the address, and somebody
who was sent it says no here. What is proved is noted; what it opens, the gates decide.
"""

from __future__ import annotations

from django.utils import timezone

from portal.audit import Tag
from recovery.authority import decide, note
from recovery.gates.floors import Method
from recovery.models import Recovery
from recovery.proving import give
from recovery.steps import OutOfStep, row, step
from terminals import requests
from terminals.models import RecoveryRequest

State = Recovery.State
# Why a journey that was started at a terminal ended before its password.
DENIED = "denied"
BURNED = "match_burned"
RAN_OUT = "screen_ran_out"
STOPPED = frozenset({DENIED, BURNED, RAN_OUT})


def is_asked(recovery: Recovery) -> bool:
    """Whether this recovery stands before the match number."""
    return (
        recovery.state == State.PROVED and recovery.request_id is not None and recovery.possession_at is None
    )


def confirm(recovery: Recovery, number: str) -> requests.Matched:
    """Judge a typed match number; without tries left the journey is over. Raises OutOfStep.

    Called outside a transaction, as everything that spends a try.
    """
    if not is_asked(recovery) or recovery.request_id is None:
        raise OutOfStep
    matched = requests.match(recovery.request_id, number)
    request = RecoveryRequest.objects.get(pk=recovery.request_id)
    if request.state == RecoveryRequest.State.PROVED:
        # By this call, by the same form sent twice, or by one that did not get as far as here.
        _stands_there(recovery, request)
        return requests.Matched(ok=True, tries_left=0)
    if matched.tries_left == 0:
        if requests.wire_state(request, timezone.now()) == "pending":
            # The last try is being judged in another call of this browser.
            raise OutOfStep
        _stop(recovery, BURNED if request.state == RecoveryRequest.State.DENIED else RAN_OUT)
    return matched


def _stands_there(recovery: Recovery, request: RecoveryRequest) -> None:
    waiting = row(recovery, State.PROVED).filter(possession_at__isnull=True)
    if waiting.update(possession_at=request.proved_at) == 1:
        note(Tag.RECOVERY_AT_TERMINAL, recovery, request=request.id)
    give(recovery, Method.POSSESSION, subject=request.terminal_id)
    recovery.refresh_from_db()
    if not decide(recovery, recovery.operator_number).is_open:
        # The screen need not wait for what this door cannot open.
        requests.deny(request.id)


def deny(recovery: Recovery) -> None:
    """Nobody of the shop stands there: the journey is over, and the screen says so. Raises OutOfStep."""
    if not is_asked(recovery) or recovery.request_id is None:
        raise OutOfStep
    requests.deny(recovery.request_id)
    _stop(recovery, DENIED)


def _stop(recovery: Recovery, reason: str) -> None:
    step(recovery, State.PROVED, state=State.ABANDONED, reason=reason, finished_at=timezone.now())
    note(Tag.RECOVERY_DENIED, recovery, reason=reason)
