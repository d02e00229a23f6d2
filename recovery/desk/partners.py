"""What a partner may know of: the merchants whose numbers begin with their acquirer's code, no other."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils import timezone

from portal.accounts import PARTNERS
from portal.models import Merchant, User
from recovery.desk import standing
from recovery.models import Ticket, Verification
from terminals.models import Terminal

ATTEST = "recovery.attest_verification"
COSIGN = "recovery.cosign_verification"


def reaches(person: User, merchant: Merchant) -> bool:
    """Whether the shop is one of the partner's acquirer."""
    return PARTNERS.admits(person) and merchant.number.startswith(person.acquirer_code)


def _within(person: User, path: str) -> Q:
    """The condition that every query of a partner stands on; for everybody else it holds for nothing."""
    if not PARTNERS.admits(person):
        return Q(pk__in=[])
    return Q(**{f"{path}number__startswith": person.acquirer_code})


def merchants_of(person: User) -> QuerySet[Merchant]:
    """The shops of their acquirer."""
    return Merchant.objects.filter(_within(person, ""))


def terminals_of(person: User) -> QuerySet[Terminal]:
    """The terminals of these shops."""
    return Terminal.objects.filter(_within(person, "store__merchant__"))


def tickets_of(person: User) -> QuerySet[Ticket]:
    """The cases of these shops. One whose shop is only typed and not proved belongs to nobody yet."""
    return Ticket.objects.filter(_within(person, "merchant__"))


def verifications_of(person: User) -> QuerySet[Verification]:
    """Callers of these shops who are being verified now, or wait for a second person."""
    alive = Verification.objects.filter(state__in=standing.LIVING, expires_at__gt=timezone.now())
    return alive.filter(_within(person, "recovery__merchant__")).exclude(ticket__state=Ticket.State.CLOSED)
