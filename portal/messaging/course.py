"""How far the newest code of a challenge has come, as its page may tell it: the same course for strangers.

Somebody who is not known gets no message, and must not see that. Their page takes the course that an earlier
message took; whether theirs is one that arrives hangs on the phone alone, as it does in life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from portal.models import Challenge, Message
from portal.secrets import keyed_digest

State = Message.State
STEP_S = 2  # what is told changes only at whole steps, so that a faster or slower worker does not show
POOL = 20  # earlier messages that a stranger's course is drawn from
RIPE = timedelta(seconds=60)  # by then most have been reported on
COLUMNS = ("created_at", "accepted_at", "settled_at", "state", "error", "generation")
Row = tuple[datetime, datetime | None, datetime | None, str, str, int]


class Phase(StrEnum):
    """As far as a message has come."""

    GOING = "going"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class Course:
    """What is told of a message now: how far, since when, why not, and whether its code is a new one."""

    phase: Phase
    at: datetime
    error: str = ""
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class Journey:
    """What became of one message, in seconds after it was asked for; empty for what did not happen (yet)."""

    accepted_s: float | None
    settled_s: float | None
    arrived: bool = False
    error: str = ""
    renewed: bool = False

    @property
    def failed(self) -> bool:
        """Whether somebody said that it will not arrive."""
        return self.settled_s is not None and not self.arrived

    def told(self, since: datetime, now: datetime) -> Course:
        """What may be told of it at this moment."""
        if self.settled_s is not None and (at := _told_at(since, self.settled_s)) <= now:
            phase = Phase.DELIVERED if self.arrived else Phase.UNDELIVERED
            return Course(phase, at, self.error, self.renewed)
        if self.accepted_s is not None and (at := _told_at(since, self.accepted_s)) <= now:
            return Course(Phase.SENT, at, renewed=self.renewed)
        return Course(Phase.GOING, since)


# Where nothing was ever sent: taken by the provider, who does not report.
ORDINARY = Journey(1.0, None)


def _told_at(since: datetime, seconds: float) -> datetime:
    return since + timedelta(seconds=STEP_S * (max(0.0, seconds) // STEP_S + 1))


def course_of(challenge: Challenge, handled_at: datetime | None, now: datetime) -> Course:
    """How far the newest code has come; `handled_at` is when a worker saw to it, empty until one did.

    Asks the same of the database whoever it is about.
    """
    slot = challenge.last_sent_at or challenge.created_at
    since = max(slot, handled_at or slot)
    own = Message.objects.filter(challenge=challenge, created_at__gte=slot).order_by("-created_at")
    mine: Row | None = own.values_list(*COLUMNS).first()
    others = _earlier(challenge, slot)
    if handled_at is None:
        return Course(Phase.GOING, slot)
    journey = _journey(mine, since) if mine is not None else drawn(challenge, others)
    return journey.told(since, now)


def _earlier(challenge: Challenge, slot: datetime) -> list[Journey]:
    ripe = Message.objects.filter(channel=challenge.channel, created_at__lte=slot - RIPE)
    newest = ripe.order_by("-created_at").values_list(*COLUMNS)[:POOL]
    return [_journey(row, row[0]) for row in newest]


def _journey(row: Row, since: datetime) -> Journey:
    _, accepted_at, settled_at, state, error, generation = row
    # An outcome that nobody knows is no word: it may still arrive.
    known = state in (State.DELIVERED, State.UNDELIVERED, State.FAILED)
    return Journey(
        accepted_s=(accepted_at - since).total_seconds() if accepted_at else None,
        settled_s=(settled_at - since).total_seconds() if settled_at and known else None,
        arrived=state == State.DELIVERED,
        error=error,
        renewed=generation > 0,
    )


def drawn(challenge: Challenge, others: Sequence[Journey]) -> Journey:
    """The course a stranger's page takes: one of these, the same one each time it is asked."""
    bad = [journey for journey in others if journey.failed]
    good = [journey for journey in others if not journey.failed]
    share = len(bad) / len(others) if others else 0.0
    pool = bad if _fraction("phone", challenge.to) < share else good
    turn = _fraction("message", f"{challenge.id} {challenge.sends}")
    return pool[int(turn * len(pool))] if pool else ORDINARY


def _fraction(of: str, text: str) -> float:
    return int(keyed_digest(f"course-{of}", text)[:12], 16) / float(16**12)
