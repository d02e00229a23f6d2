"""Naming, replacing and confirming addresses: a code to the new one, everybody told, 72 hours to stop it.

Every step is one conditional UPDATE. What is not proved in ten minutes expires; a recovery that is under way
keeps changes from beginning and cancels one that was not proved yet, so nobody is locked out halfway.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from portal import challenges, quoted, texting
from portal.addresses import MOST, alive, digest_of
from portal.audit import Tag, record
from portal.challenges import Outcome
from portal.limits import take
from portal.models import Address, AddressChange, Merchant, User
from portal.notices import CHANNELS, tell, tell_shop

State = AddressChange.State
What = AddressChange.What
HOLD = timedelta(hours=72)
PURPOSE = "address"
# Asked before a change begins and before it comes into force, with the merchant; the rooms above answer True
# when a recovery of this shop is under way, for portal does not know of recoveries.
is_recovering = Signal()
TOLD = {What.REGISTERED: "phone-changed", What.NEW: "way-added", What.REPLACED: "way-changed"}


class Refused(Exception):
    """A change cannot begin. `reason` is known, many, recovery, frozen or limit."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an owner wants: `address` is the row to replace or confirm, empty for the registered phone."""

    merchant: Merchant
    what: What
    to: str
    by: User
    block: str
    kind: str = Address.Kind.PHONE
    holder: str = Address.Holder.OWNER
    name: str = ""
    locale: str = "zh-hans"
    address: Address | None = None

    @property
    def old(self) -> str:
        """What is replaced; empty for a new one."""
        if self.what == What.REGISTERED:
            return self.merchant.phone
        return self.address.value if self.address is not None else ""


def ask(wanted: Wanted) -> AddressChange:
    """Begin a change and send the code to the address it is about. Raises Refused.

    One that the shop was still proving is cancelled.
    """
    _may_begin(wanted)
    _spend(wanted)
    now = timezone.now()
    with transaction.atomic():
        merchant = _lock(wanted.merchant)
        if _is_recovering(merchant):
            raise Refused("recovery")
        _end(merchant, State.PROVING, State.CANCELLED)
        change = AddressChange(
            merchant=merchant,
            what=wanted.what,
            address=wanted.address,
            kind=wanted.kind,
            holder=wanted.holder,
            name=wanted.name,
            locale=wanted.locale,
            old=wanted.old,
            new=wanted.to,
            requested_by=f"user:{wanted.by.pk}",
            requested_at=now,
            ends_at=now + challenges.LIFE,
        )
        channel = CHANNELS[Address.Kind(wanted.kind)]
        change.challenge = challenges.open_for(PURPOSE, wanted.to, channel, subject=subject_of(change))
        change.save(force_insert=True)
        challenges.send(change.challenge, template_of(change), wanted.locale, known_source=True)
        record(Tag.ADDRESS_ASKED, actor=change.requested_by, merchant=merchant, subject=change.number)
    return change


def _may_begin(wanted: Wanted) -> None:
    merchant, taken = wanted.merchant, alive(wanted.merchant).filter(digest=digest_of(wanted.to))
    if merchant.frozen_until is not None and merchant.frozen_until > timezone.now():
        raise Refused("frozen")
    if wanted.what == What.CONFIRMED:
        return
    if wanted.to == merchant.phone or (wanted.what != What.REGISTERED and taken.exists()):
        raise Refused("known")
    if wanted.what == What.NEW and alive(merchant).count() >= MOST:
        raise Refused("many")


def _spend(wanted: Wanted) -> None:
    """The limits on what an owner may have sent; each owner has a share of their own."""
    source = f"ways:{wanted.by.pk}"
    if wanted.kind == Address.Kind.EMAIL:
        spent = not take("sms-per-source", f"{wanted.merchant.pk}:{source}:mail").ok
    else:
        spent = bool(texting.refusal(texting.Ask(wanted.to, wanted.block, wanted.merchant, source)))
    if spent:
        raise Refused("limit")


def subject_of(change: AddressChange) -> str:
    """What the challenge of a change is bound to."""
    return f"change:{change.pk}"


def template_of(change: AddressChange) -> str:
    """The text that carries its code: a contact reads it out, an owner types it."""
    return "contact-code" if change.holder == Address.Holder.CONTACT else "way-code"


def pending(merchant: Merchant, by: User) -> AddressChange | None:
    """The change that this owner still has to prove."""
    mine = AddressChange.objects.filter(merchant=merchant, requested_by=f"user:{by.pk}", state=State.PROVING)
    return mine.select_related("challenge", "address", "merchant").first()


def prove(change: AddressChange, text: str) -> Outcome:
    """Judge the code; when it is right the change comes into force, unless a recovery has begun meanwhile."""
    outcome = challenges.check(str(change.challenge_id), PURPOSE, subject_of(change), text)
    if outcome.ok and not _come_into_force(change):
        return Outcome(False, "expired", 0)
    return outcome


def _come_into_force(change: AddressChange) -> bool:
    now = timezone.now()
    with transaction.atomic():
        merchant = _lock(change.merchant)
        if change.what == What.CONFIRMED:
            return _end(merchant, State.PROVING, State.DONE, pk=change.pk) == 1 and _confirm(change, merchant)
        if _is_recovering(merchant) or _is_taken(change):
            _end(merchant, State.PROVING, State.CANCELLED)
            return False
        mine = AddressChange.objects.filter(pk=change.pk, state=State.PROVING, ends_at__gt=now)
        if mine.update(state=State.STANDING, in_force_at=now, ends_at=now + HOLD) != 1:
            return False
        change.merchant = merchant
        _apply(change, now)
        _tell_of(change)
    return True


def _confirm(change: AddressChange, merchant: Merchant) -> bool:
    now = timezone.now()
    if change.address_id is None:
        Merchant.objects.filter(pk=merchant.pk).update(phone_confirmed_at=now)
    else:
        Address.objects.filter(pk=change.address_id).update(confirmed_at=now)
    return True


def made_at_desk(merchant: Merchant, old: str, by: str) -> None:
    """Support has replaced the registered phone: it is held, and all are told and can stop it.

    In the caller's transaction.
    """
    now = timezone.now()
    merchant.phone_held_until = now + HOLD
    merchant.save(update_fields=["phone_held_until"])
    change = AddressChange.objects.create(
        merchant=merchant,
        what=What.REGISTERED,
        state=State.STANDING,
        kind=Address.Kind.PHONE,
        holder=Address.Holder.OWNER,
        old=old,
        new=merchant.phone,
        requested_by=by,
        requested_at=now,
        in_force_at=now,
        ends_at=now + HOLD,
    )
    _tell_of(change)


def _is_taken(change: AddressChange) -> bool:
    same = alive(change.merchant).filter(digest=digest_of(change.new)).exclude(pk=change.address_id)
    return change.what != What.REGISTERED and same.exists()


def _apply(change: AddressChange, now: datetime) -> None:
    if change.what == What.REGISTERED:
        _replace_phone(change.merchant, change.old, change.new, held_until=now + HOLD)
        Merchant.objects.filter(pk=change.merchant_id).update(phone_confirmed_at=now)
        return
    facts = {
        "value": change.new,
        "digest": digest_of(change.new),
        "confirmed_at": now,
        "held_until": now + HOLD,
    }
    if change.address is None:
        change.address = Address.objects.create(
            merchant=change.merchant,
            kind=change.kind,
            holder=change.holder,
            name=change.name,
            locale=change.locale,
            **facts,
        )
        AddressChange.objects.filter(pk=change.pk).update(address=change.address)
    else:
        Address.objects.filter(pk=change.address_id).update(**facts)


def _replace_phone(merchant: Merchant, old: str, new: str, *, held_until: datetime | None) -> None:
    """Put another registered phone in place, and where it was an owner's phone for signing in, there too."""
    merchant.phone, merchant.phone_held_until = new, held_until
    merchant.save(update_fields=["phone", "phone_digest", "phone_held_until"])
    for user in User.objects.filter(merchant=merchant):
        if user.phone == old:
            user.phone = new
            user.save(update_fields=["phone"])


def _tell_of(change: AddressChange) -> None:
    """Old, new and all the owner's others."""
    record(
        Tag.ADDRESS_CHANGED,
        actor=change.requested_by,
        merchant=change.merchant,
        subject=change.number,
        what=change.what,
    )
    # The number itself is put in by the worker that sends, and stands in no row.
    facts = {"quote": change.pk}
    AddressChange.objects.filter(pk=change.pk).update(
        veto_digest=quoted.digest_of(quoted.number_of(change.pk))
    )
    if change.what == What.REGISTERED:
        facts["tail"] = change.new[-4:]
    template = TOLD[What(change.what)]
    tell(change.kind, change.old, template, **facts)
    tell(change.kind, change.new, "way-registered", change.locale)
    tell_shop(change.merchant, template, facts, but=(change.old, change.new))


def stop(change: AddressChange, by: str) -> bool:
    """Undo a change that stands, and tell everybody; whether this call did. The old one holds at once."""
    now = timezone.now()
    with transaction.atomic():
        change.merchant = _lock(change.merchant)
        mine = AddressChange.objects.filter(pk=change.pk, state=State.STANDING, ends_at__gt=now)
        if mine.update(state=State.STOPPED, ended_at=now) != 1:
            return False
        _undo(change, now)
        record(Tag.ADDRESS_STOPPED, actor=by, merchant=change.merchant, subject=change.number)
        tell(change.kind, change.new, "change-stopped", change.locale)
        tell_shop(change.merchant, "change-stopped", but=(change.new,))
    return True


def _undo(change: AddressChange, now: datetime) -> None:
    """Put back what was, and with it end the changes that were built upon this one."""
    later = AddressChange.objects.filter(merchant=change.merchant, state=State.STANDING)
    later = later.filter(requested_at__gt=change.requested_at, address=change.address)
    later.exclude(what=What.CONFIRMED).update(state=State.STOPPED, ended_at=now)
    if change.what == What.REGISTERED:
        _replace_phone(change.merchant, change.merchant.phone, change.old, held_until=None)
        return
    mine, digest = Address.objects.filter(pk=change.address_id), digest_of(change.old)
    is_elsewhere = alive(change.merchant).filter(digest=digest).exclude(pk=change.address_id).exists()
    if change.what == What.NEW or is_elsewhere:
        mine.update(retired_at=now)
    else:
        mine.update(value=change.old, digest=digest, held_until=None)


def standing(merchant: Merchant) -> list[AddressChange]:
    """Changes in force that can still be stopped, the newest first."""
    mine = AddressChange.objects.filter(merchant=merchant, state=State.STANDING, ends_at__gt=timezone.now())
    return list(mine.select_related("address", "merchant"))


def cancel_pending(merchant: Merchant) -> int:
    """Cancel what was not proved yet; how many. Called, in its transaction, by a recovery that begins."""
    return _end(_lock(merchant), State.PROVING, State.CANCELLED)


def sweep(now: datetime) -> int:
    """End what is over by the clock; how many."""
    over = AddressChange.objects.filter(ends_at__lte=now)
    expired = over.filter(state=State.PROVING).update(state=State.EXPIRED, ended_at=now)
    return expired + over.filter(state=State.STANDING).update(state=State.DONE, ended_at=now)


def _end(merchant: Merchant, state: State, to: State, **only: str) -> int:
    now = timezone.now()
    mine = AddressChange.objects.filter(merchant=merchant, state=state, ends_at__gt=now, **only)
    return mine.update(state=to, ended_at=now)


def _lock(merchant: Merchant) -> Merchant:
    return Merchant.objects.select_for_update(no_key=True).get(pk=merchant.pk)


def _is_recovering(merchant: Merchant) -> bool:
    return any(answer for _, answer in is_recovering.send(sender=AddressChange, merchant=merchant))
