"""The ways to prove that a shop has, and what of each is open now; what was proved is looked at once more."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet
from django.utils import timezone

from portal import recovery_codes
from portal.devices import TOTPDevice
from portal.models import Merchant, Passkey, User
from recovery import doubts
from recovery.gates.decide import Given, Way
from recovery.gates.floors import CHANNEL, Method
from recovery.models import Proof, Recovery
from terminals.models import Terminal

NONE = "none"
# Proved by what one owner has: gone with the owner's account.
OWNERS_OWN = frozenset({Method.TOTP, Method.PASSKEY})


def terminals_in_reach(merchant: Merchant | None) -> QuerySet[Terminal]:
    """The terminals somebody can be sent to: active, unopened ones."""
    return Terminal.objects.filter(
        store__merchant=merchant, state=Terminal.State.ACTIVE, tampered_at__isnull=True
    )


def apps_of(merchant: Merchant) -> QuerySet[TOTPDevice]:
    """The authenticator apps of the owners who may sign in."""
    return TOTPDevice.objects.filter(
        user__merchant=merchant, user__is_active=True, confirmed=True
    ).select_related("user")


def passkeys_of(merchant: Merchant) -> QuerySet[Passkey]:
    """The passkeys of the owners who may sign in."""
    return Passkey.objects.filter(
        user__merchant=merchant, user__is_active=True, confirmed=True
    ).select_related("user")


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
