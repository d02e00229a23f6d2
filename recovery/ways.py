"""The ways to prove that a shop has, and what of each is open now; what was proved is looked at once more."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet
from django.utils import timezone

from portal.devices import TOTPDevice
from portal.models import Merchant, User
from recovery import doubts
from recovery.gates.decide import Given, Way
from recovery.gates.floors import CHANNEL, Method
from recovery.models import Proof, Recovery
from terminals.models import Terminal

NONE = "none"


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


def ways_of(merchant: Merchant) -> tuple[Way, ...]:
    """Every way besides the phone, in the order in which they are easiest."""
    return (
        Way(Method.TOTP, shut="" if apps_of(merchant).exists() else NONE),
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
    subjects = {row.subject for row in rows if row.method == Method.TOTP}
    owners = (
        User.objects.filter(merchant=recovery.merchant, is_active=True) if subjects else User.objects.none()
    )
    living = {f"user:{pk}" for pk in owners.values_list("pk", flat=True)}
    gone = {row.pk for row in rows if row.method == Method.TOTP and row.subject not in living}
    gone |= {
        row.pk for row in rows if row.method == Method.POSSESSION and row.subject != recovery.terminal_id
    }
    return [row for row in rows if row.pk not in gone]
