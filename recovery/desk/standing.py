"""How a verification stands now: whether it lives, and what its evidence amounts to for the gates."""

from __future__ import annotations

from django.utils import timezone

from recovery.doubts import of_phone
from recovery.gates import evidence
from recovery.gates.decide import Given
from recovery.gates.evidence import Said, Stated
from recovery.gates.floors import TARGET_OF, Target
from recovery.models import Recovery, Statement, Ticket, Verification

State = Verification.State
# A reset that was started goes on by its command; what proved it is over.
LIVING = (State.OPEN, State.ASKED)


def living(recovery: Recovery) -> Verification | None:
    """The verification behind a recovery of the desk, in its time and with its ticket still its agent's."""
    alive = Verification.objects.filter(recovery=recovery, state__in=LIVING, expires_at__gt=timezone.now())
    mine = alive.exclude(ticket__state=Ticket.State.CLOSED).select_related("ticket")
    verification = mine.first()
    if verification is None or verification.ticket.assignee_id != verification.agent_id:
        return None
    return verification


def agent_of(recovery: Recovery) -> int | None:
    """Whose verification it is, by primary key."""
    return Verification.objects.filter(recovery=recovery).values_list("agent", flat=True).first()


def is_approved(recovery: Recovery) -> bool:
    """Whether somebody else than its agent has said yes to its request."""
    verification = living(recovery)
    return verification is not None and verification.decided_by_id not in (None, verification.agent_id)


def proofs_at_desk(recovery: Recovery, given: tuple[Given, ...]) -> tuple[Given, ...]:
    """The proofs of a recovery of the desk, with support's own once they are enough; none once it is over."""
    verification = living(recovery)
    if verification is None:
        return ()
    return evidence.judged(given, said(verification), target_of(recovery))


def target_of(recovery: Recovery) -> Target:
    """What is to be reset."""
    return TARGET_OF.get(recovery.operator_number, Target.OPERATOR)


def said(verification: Verification) -> tuple[Said, ...]:
    """What its agent has stated, as far as it is worth something. A document counts if it is on file."""
    merchant = verification.recovery.merchant
    doubts = of_phone(merchant, timezone.now()) if merchant is not None else frozenset()
    return tuple(
        Said(Stated(each.what), doubts if each.what == Stated.CALL_BACK else frozenset())
        for each in Statement.objects.filter(verification=verification)
        if each.what != Stated.DOCUMENT or each.matches
    )
