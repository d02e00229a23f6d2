"""The ways to prove that a shop has, and what of each is open now; what was proved is looked at once more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from portal import addresses, recovery_codes
from portal.devices import TOTPDevice
from portal.models import Address, Merchant, Passkey, RecoveryCode, User
from recovery import doubts
from recovery.desk import standing
from recovery.gates.decide import Given, Way
from recovery.gates.floors import CHANNEL, Doubt, Method
from recovery.models import Proof, Recovery
from terminals.models import Terminal

NONE = "none"
LIVING = {"user__is_active": True, "confirmed": True}
# Proved by what one owner has: gone with the owner's account.
OWNERS_OWN = frozenset({Method.TOTP, Method.PASSKEY})
# Proved by a code to an address: gone with the address.
WRITTEN = frozenset({Method.EMAIL, Method.CONTACT})


def terminals_in_reach(merchant: Merchant | None) -> QuerySet[Terminal]:
    """The terminals somebody can be sent to: active, unopened ones."""
    return terminals_everywhere().filter(store__merchant=merchant)


def terminals_everywhere() -> QuerySet[Terminal]:
    """The same for all shops."""
    return Terminal.objects.filter(state=Terminal.State.ACTIVE, tampered_at__isnull=True)


def apps_of(merchant: Merchant) -> QuerySet[TOTPDevice]:
    """The authenticator apps of the owners who may sign in."""
    mine = TOTPDevice.objects.filter(user__merchant=merchant, **LIVING)
    return mine.select_related("user")


def passkeys_of(merchant: Merchant) -> QuerySet[Passkey]:
    """The passkeys of the owners who may sign in."""
    mine = Passkey.objects.filter(user__merchant=merchant, **LIVING)
    return mine.select_related("user")


def addresses_of(merchant: Merchant, method: Method) -> list[addresses.Way]:
    """The owner's mailboxes, or the contacts, as far as they can be written to."""
    holder = Address.Holder.CONTACT if method is Method.CONTACT else Address.Holder.OWNER
    return addresses.usable(merchant, holder)


def _by_address(merchant: Merchant, method: Method) -> Way:
    """Open if there is an address; doubted while there is none that was not just changed."""
    found = addresses_of(merchant, method)
    if not found:
        return Way(method, shut=NONE)
    if not all(way.held for way in found):
        return Way(method)
    return Way(method, opens_at=found[0].held_until, doubts=frozenset({Doubt.HELD}))


def merchants_with() -> dict[Method, set[int]]:
    """Of each method, the shops that have it, by primary key; the phone's are those with a number."""
    phones = Merchant.objects.exclude(phone_digest="").values_list("pk", flat=True)
    shops: dict[Method, Iterable[Any]] = {
        Method.TOTP: TOTPDevice.objects.filter(**LIVING).values_list("user__merchant", flat=True),
        Method.PASSKEY: Passkey.objects.filter(**LIVING).values_list("user__merchant", flat=True),
        Method.RECOVERY_CODE: RecoveryCode.objects.filter(
            used_at__isnull=True, revoked_at__isnull=True
        ).values_list("merchant", flat=True),
        Method.EMAIL: _addresses_everywhere(kind="email", holder="owner"),
        Method.CONTACT: _addresses_everywhere(holder="contact"),
        Method.POSSESSION: terminals_everywhere().values_list("store__merchant", flat=True),
    }
    return {Method.SMS: set(phones), **{method: set(found) for method, found in shops.items()}}


def _addresses_everywhere(**facts: str) -> QuerySet[Address, int]:
    named = Address.objects.filter(retired_at__isnull=True, **facts)
    return named.values_list("merchant", flat=True)


def ways_of(merchant: Merchant) -> tuple[Way, ...]:
    """Every way besides the phone, in the order in which they are easiest."""
    return (
        Way(Method.TOTP, shut="" if apps_of(merchant).exists() else NONE),
        _by_address(merchant, Method.EMAIL),
        Way(Method.PASSKEY, shut="" if passkeys_of(merchant).exists() else NONE),
        Way(Method.RECOVERY_CODE, shut="" if recovery_codes.left(merchant) else NONE),
        _by_address(merchant, Method.CONTACT),
        Way(Method.POSSESSION, shut="" if terminals_in_reach(merchant).exists() else NONE),
    )


def proofs_of(recovery: Recovery) -> tuple[Given, ...]:
    """What this recovery has proved and what still holds of it, with what is doubted now."""
    merchant = recovery.merchant
    if merchant is None:
        return ()
    rows = _holding(recovery, recovery.proofs.all())
    phone = doubts.of_texts(recovery) | doubts.of_phone(merchant, timezone.now())
    written = {row.subject for row in rows if row.method in WRITTEN}
    held = {way.id for way in addresses.ways(merchant) if way.held} if written else set()

    def doubted(row: Proof) -> frozenset[Doubt]:
        if CHANNEL[Method(row.method)] == "phone":
            return phone
        return frozenset({Doubt.HELD}) if row.method in WRITTEN and row.subject in held else frozenset()

    given = tuple(Given(Method(row.method), row.strength, doubted(row)) for row in rows)
    return standing.proofs_at_desk(recovery, given) if recovery.door == Recovery.Door.SUPPORT else given


def _holding(recovery: Recovery, rows: Iterable[Proof]) -> list[Proof]:
    """Without what has gone since: another terminal was chosen, an owner's account was stopped."""
    here: dict[Method, set[str]] = {Method.POSSESSION: {recovery.terminal_id or ""}}
    if {row.method for row in rows} & OWNERS_OWN:
        owners = User.objects.filter(merchant=recovery.merchant, is_active=True)
        living = {f"user:{pk}" for pk in owners.values_list("pk", flat=True)}
        here |= dict.fromkeys(OWNERS_OWN, living)
    if {row.method for row in rows} & WRITTEN and recovery.merchant is not None:
        alive = {way.id for way in addresses.ways(recovery.merchant)}
        here |= dict.fromkeys(WRITTEN, alive)
    return [row for row in rows if row.method not in here or row.subject in here[Method(row.method)]]
