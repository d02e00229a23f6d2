"""How a shop can be reached besides its registered phone: the owner's own addresses and recovery contacts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from portal.audit import Tag, record
from portal.messaging import carriers
from portal.models import Address, Channel, Merchant
from portal.notices import tell, tell_shop
from portal.secrets import keyed_digest

WANTED = 2  # an owner should have named at least so many
MOST = 8
# In China a number that was given back may be somebody else's after 90 days.
CONFIRMED_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Way:
    """One address as a page or a gate sees it. `to` is the address itself and is never shown."""

    id: str
    kind: str
    holder: str
    name: str
    masked: str
    locale: str
    confirmed: bool
    held: bool
    confirmed_at: datetime
    held_until: datetime | None
    to: str = field(repr=False)


def ways(merchant: Merchant) -> list[Way]:
    """Every address of the shop besides the registered phone, the oldest first.

    `confirmed`: a code to it was typed back within REKEY_RECONFIRM_DAYS. `held`: it was named or replaced
    within 72 hours and helps neither the supervisor nor maintenance.
    """
    now = timezone.now()
    return [_way(address, now) for address in alive(merchant)]


def alive(merchant: Merchant) -> QuerySet[Address]:
    """The rows that are in force."""
    return Address.objects.filter(merchant=merchant, retired_at__isnull=True)


def usable(merchant: Merchant, holder: str) -> list[Way]:
    """The owner's mailboxes, or the contacts who are somebody else, as far as they can be written to.

    A phone that nobody has confirmed for long may be a stranger's by now and is left out.
    """
    kinds = {Address.Kind.EMAIL} if carriers.is_offered(Channel.EMAIL) else set()
    if holder == Address.Holder.CONTACT:
        kinds.add(Address.Kind.PHONE)
    mine = [way for way in ways(merchant) if way.holder == holder and way.kind in kinds]
    fresh = [way for way in mine if way.kind == Address.Kind.EMAIL or way.confirmed]
    return [way for way in fresh if way.to != merchant.phone]


def is_stale(merchant: Merchant, now: datetime) -> bool:
    """Whether nobody has confirmed the registered phone for so long that it may be a stranger's by now."""
    return (merchant.phone_confirmed_at or merchant.created_at) <= now - CONFIRMED_FOR


def _way(address: Address, now: datetime) -> Way:
    return Way(
        id=address.pk,
        kind=address.kind,
        holder=address.holder,
        name=address.name,
        masked=address.masked,
        locale=address.locale,
        confirmed=not is_due(address.confirmed_at, now),
        held=is_held(address.held_until, now),
        confirmed_at=address.confirmed_at,
        held_until=address.held_until,
        to=address.value,
    )


def is_held(until: datetime | None, now: datetime) -> bool:
    """Whether an address is still within the 72 hours after its change."""
    return until is not None and until > now


def is_due(confirmed_at: datetime | None, now: datetime) -> bool:
    """Whether it is time to confirm it once more; never when REKEY_RECONFIRM_DAYS is 0."""
    days = settings.REKEY_RECONFIRM_DAYS
    return days > 0 and (confirmed_at is None or confirmed_at < now - timedelta(days=days))


def digest_of(value: str) -> str:
    """Blind index of a number or address: the same one is found again, and cannot be read."""
    return keyed_digest("address", value.casefold())


def note_confirmed(merchant: Merchant, phone: str) -> None:
    """A code to the registered phone was typed back by somebody of the shop, just now."""
    mine = Merchant.objects.filter(pk=merchant.pk, phone_digest=merchant.phone_digest)
    if merchant.phone == phone:
        mine.update(phone_confirmed_at=timezone.now())


def retire(address: Address, by: str) -> bool:
    """Remove an address and tell it and the shop; whether it was there."""
    if Address.objects.filter(pk=address.pk, retired_at__isnull=True).update(retired_at=timezone.now()) != 1:
        return False
    record(Tag.ADDRESS_REMOVED, actor=by, merchant=address.merchant, subject=f"address:{address.pk}")
    tell(address.kind, address.value, "way-removed", address.locale)
    tell_shop(address.merchant, "way-removed")
    return True
