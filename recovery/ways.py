"""The ways to prove that a shop has, and what of each is open now; what was proved is looked at once more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from portal import recovery_codes
from portal.devices import TOTPDevice
from portal.models import Merchant, Passkey, RecoveryCode, User
from recovery import doubts
from recovery.gates.decide import Given, Way
from recovery.gates.floors import CHANNEL, Method
from recovery.models import Proof, Recovery
from terminals.models import Terminal

NONE = "none"
LIVING = {"user__is_active": True, "confirmed": True}
# Proved by what one owner has: gone with the owner's account.
OWNERS_OWN = frozenset({Method.TOTP, Method.PASSKEY})


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


def merchants_with() -> dict[Method, set[int]]:
    """Of each method, the shops that have it, by primary key; the phone's are those with a number."""
    phones = Merchant.objects.exclude(phone_digest="").values_list("pk", flat=True)
    shops: dict[Method, Iterable[Any]] = {
        Method.TOTP: TOTPDevice.objects.filter(**LIVING).values_list("user__merchant", flat=True),
        Method.PASSKEY: Passkey.objects.filter(**LIVING).values_list("user__merchant", flat=True),
        Method.RECOVERY_CODE: RecoveryCode.objects.filter(
            used_at__isnull=True, revoked_at__isnull=True
        ).values_list("merchant", flat=True),
        Method.POSSESSION: terminals_everywhere().values_list("store__merchant", flat=True),
    }
    return {Method.SMS: set(phones), **{method: set(found) for method, found in shops.items()}}


def ways_of(merchant: Merchant) -> tuple[Way, ...]:
    """Every way besides the phone, in the order in which they are easiest."""
    return (
        Way(Method.TOTP, shut="" if apps_of(merchant).exists() else NONE),
        Way(Method.PASSKEY, shut="" if passkeys_of(merchant).exists() else NONE),
        Way(Method.RECOVERY_CODE, shut="" if recovery_codes.left(merchant) else NONE),
        Way(Method.POSSESSION, shut="" if terminals_in_reach(merchant).exists() else NONE),
    )


def proofs_of(recovery: Recovery) -> tuple[Given, ...]:
    """What this recovery has proved and what still holds of it, with what is doubted now."""
    merchant = recovery.merchant
    if merchant is None:
        return ()
    rows = list(recovery.proofs.all())
    phone = doubts.of_texts(recovery) | doubts.of_phone(merchant, timezone.now())
    return tuple(
        Given(
            Method(row.method), row.strength, phone if CHANNEL[Method(row.method)] == "phone" else frozenset()
        )
        for row in _holding(recovery, rows)
    )


def _holding(recovery: Recovery, rows: Iterable[Proof]) -> list[Proof]:
    """Without what has gone since: another terminal was chosen, an owner's account was stopped."""
    here: dict[Method, set[str]] = {Method.POSSESSION: {recovery.terminal_id or ""}}
    if {row.method for row in rows} & OWNERS_OWN:
        owners = User.objects.filter(merchant=recovery.merchant, is_active=True)
        living = {f"user:{pk}" for pk in owners.values_list("pk", flat=True)}
        here |= dict.fromkeys(OWNERS_OWN, living)
    return [row for row in rows if row.method not in here or row.subject in here[Method(row.method)]]
