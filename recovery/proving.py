"""Proofs are given here: each one row, once, whoever asks twice."""

from __future__ import annotations

from django.db import transaction

from portal import guessing, passkeys, recovery_codes
from portal.audit import Tag
from portal.challenges import Outcome
from recovery.authority import actor_of, note
from recovery.gates.floors import CHANNEL, FULL, Method
from recovery.models import Proof, Recovery
from recovery.ways import apps_of, passkeys_of

PURPOSE = "recovery-passkey"


def give(recovery: Recovery, method: Method, *, subject: str = "", strength: int = FULL) -> bool:
    """Note a proof; whether this call did. One that is full and not by phone ends a doubt about texts."""
    _proof, new = Proof.objects.get_or_create(
        recovery=recovery, method=method, subject=subject, defaults={"strength": strength}
    )
    if new:
        note(Tag.RECOVERY_PROVED, recovery, method=method, strength=str(strength))
        if strength >= FULL and CHANNEL[method] != "phone" and recovery.merchant is not None:
            guessing.trust_again(recovery.merchant, actor_of(recovery))
    return new


def by_paper(recovery: Recovery, typed: str) -> bool:
    """Spend a recovery code for this recovery; whether it was one. A sitting spends one at most."""
    assert recovery.merchant is not None
    with transaction.atomic():
        if not give(recovery, Method.RECOVERY_CODE):
            return True
        right = recovery_codes.use(recovery.merchant, typed, recovery.id)
        if not right:
            transaction.set_rollback(True)
    return right


def passkey_options(recovery: Recovery) -> str:
    """What the browser needs to ask for a passkey of one of the shop's owners, as JSON."""
    assert recovery.merchant is not None
    owners = {passkey.user for passkey in passkeys_of(recovery.merchant)}
    return passkeys.assertion(PURPOSE, f"recovery:{recovery.id}", tuple(owners))


def by_passkey(recovery: Recovery, response: str) -> bool:
    """Whether a passkey of one of the shop's owners signed what this recovery had given out, once."""
    passkey = passkeys.verify(PURPOSE, f"recovery:{recovery.id}", response)
    if passkey is None or recovery.merchant is None:
        return False
    if not passkeys_of(recovery.merchant).filter(pk=passkey.pk).exists():
        return False
    give(recovery, Method.PASSKEY, subject=f"user:{passkey.user_id}")
    return True


def by_app(recovery: Recovery, device_id: str, text: str) -> Outcome:
    """Judge a code of an owner's authenticator app; only the app that was named is asked and spends a try."""
    assert recovery.merchant is not None
    device = apps_of(recovery.merchant).filter(pk=device_id).first()
    if device is None:
        return Outcome(False, "expired", 0)
    outcome = device.judge(text)
    if outcome.ok:
        give(recovery, Method.TOTP, subject=f"user:{device.user_id}")
    return outcome
