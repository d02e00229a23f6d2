"""Proofs are given here: each one row, once, whoever asks twice."""

from __future__ import annotations

from portal import guessing
from portal.audit import Tag
from portal.challenges import Outcome
from recovery.authority import actor_of, note
from recovery.gates.floors import CHANNEL, FULL, Method
from recovery.models import Proof, Recovery
from recovery.ways import apps_of


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
