"""What a step of a recovery is: one conditional UPDATE of the row, or nothing (design D15)."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from portal.secrets import keyed_digest
from recovery.models import Recovery
from terminals.protocol import CHOOSE_SCREEN

State = Recovery.State
LIFE = timedelta(minutes=30)
STATUS_LIFE = timedelta(hours=72)
PROOF_LIFE = timedelta(minutes=15)
# How long a terminal asks for a choice (protocol §4).
CHOICE_LIFE = timedelta(seconds=CHOOSE_SCREEN)
# A person waits for a text message about this long; after it, only the person can ask again.
ATTENTION = timedelta(seconds=60)

PROVING = (State.STARTED, State.PROVING)
CHOOSING = (State.PROVED, State.SETTING)
UNFINISHED = (*PROVING, *CHOOSING)


class OutOfStep(Exception):
    """The recovery is not, or no longer, where this step begins."""


def row(recovery: Recovery, *states: Recovery.State) -> QuerySet[Recovery]:
    """The row, if it is in one of the states, alive, and about what the caller saw."""
    return Recovery.objects.filter(
        pk=recovery.pk,
        state__in=states,
        expires_at__gt=timezone.now(),
        merchant=recovery.merchant,
        terminal_id=recovery.terminal_id,
        operator_number=recovery.operator_number,
    )


def step(recovery: Recovery, *states: Recovery.State, **facts: object) -> None:
    """Take a step from one of the states. Raises OutOfStep when the row is not there."""
    if row(recovery, *states).update(**facts) != 1:
        raise OutOfStep


def subject_mark(recovery: Recovery) -> str:
    """A short mark of terminal and operator for a form, so that an old tab cannot speak about new ones."""
    return keyed_digest(
        "recovery-subject", recovery.id, recovery.terminal_id or "", recovery.operator_number
    )[:16]
