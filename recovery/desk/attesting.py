"""The acquirer attests who a caller is: a piece of evidence beside the agent's own, never a reset."""

from __future__ import annotations

from portal import stepup
from portal.audit import Tag, record
from portal.models import User
from recovery.desk import partners
from recovery.desk.assisted import is_same
from recovery.desk.verification import State, refuse, stands_against
from recovery.gates.evidence import Stated
from recovery.models import Statement, Verification


def attest(verification: Verification, person: User, proved_at: int) -> bool:
    """State, as the acquirer, that the caller is the shop's; whether it is news. Raises Refused.

    `proved_at` is when the partner last gave a second factor, in Unix seconds.
    """
    ticket = verification.ticket
    people = "recovery__merchant", "agent", "ticket"
    alive = partners.verifications_of(person).filter(pk=verification.pk, state=State.OPEN)
    row = alive.select_related(*people).first()
    if row is None:
        raise refuse(ticket, person, "over")
    merchant = row.recovery.merchant
    assert merchant is not None
    if not person.has_perm(partners.ATTEST):
        raise refuse(ticket, person, "may_not")
    if is_same(person, row.agent):
        raise refuse(ticket, person, "same_person")
    if against := stands_against(person, merchant):
        raise refuse(ticket, person, against)
    if not stepup.is_fresh(proved_at):
        raise refuse(ticket, person, "stale")
    _row, new = Statement.objects.get_or_create(
        verification=row, what=Stated.ATTESTED, defaults={"by": person}
    )
    if new:
        record(
            Tag.VERIFICATION_ATTESTED,
            actor=f"user:{person.pk}",
            merchant=merchant,
            subject=ticket.number,
        )
    return new
