"""A change of address is undone by the number that the old address was told: typed, or quoted to support."""

from __future__ import annotations

from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from portal import changes, quoted
from portal.codes import read_number
from portal.limits import TooMany, look, take
from portal.models import AddressChange

MISSES = "veto-misses-overall"
BY_NUMBER = "veto"
# Sent with the change, in the transaction that stops it: the rooms above open a case.
vetoed = Signal()


def veto(typed: str, by: str = BY_NUMBER) -> bool:
    """Stop the change that this number was sent for, and tell everybody; whether it did, which it can once.

    Unknown, used and over are the same. Raises TooMany when too many numbers were wrong everywhere today.
    """
    misses = look(MISSES, "")
    if not misses.ok:
        raise TooMany(misses.resets_in)
    change = standing(typed)
    if change is None or not _stop(change, by):
        take(MISSES, "")
        return False
    return True


def standing(typed: str) -> AddressChange | None:
    """The change that this number stops, as long as it can be stopped."""
    number = read_number(typed)
    if number is None:
        return None
    mine = AddressChange.objects.filter(veto_digest=quoted.digest_of(number), ends_at__gt=timezone.now())
    return mine.filter(state=AddressChange.State.STANDING).select_related("merchant", "address").first()


def _stop(change: AddressChange, by: str) -> bool:
    with transaction.atomic():
        if not changes.stop(change, by):
            return False
        vetoed.send(sender=AddressChange, change=change)
    return True
