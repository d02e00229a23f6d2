"""One sitting of somebody who cannot sign in: what is wanted, whose account it is, and what was proved.

The session holds ids and names of proofs only, under a key that changes at each proof, and everything is
judged anew from the rows. Unknown accounts walk the same road as known ones and prove nothing on it.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from portal import addresses, guessing, recovery_codes
from portal.accounts import OWNERS
from portal.audit import Tag, record
from portal.devices import TOTPDevice
from portal.entry import invitations
from portal.entry.rules import Block, Decision, Doubt, Proof, Standing, Target, decide
from portal.models import Address, Invitation, Merchant, Passkey, User
from portal.secrets import keyed_digest

KEY = "entry"
LIFE_S = 1200
NOBODY = 0
BY_PHONE = frozenset({Proof.TEXT})
HOLDERS = {Proof.EMAIL: Address.Holder.OWNER, Proof.CONTACT: Address.Holder.CONTACT}


@dataclass(frozen=True, slots=True)
class Sitting:
    """What one browser is about, as the rows have it now; `user` and `merchant` are empty for strangers."""

    target: Target
    kept: dict[str, Any]
    user: User | None = None
    invitation: Invitation | None = None

    @property
    def merchant(self) -> Merchant | None:
        """The shop that it is about."""
        owner = self.invitation or self.user
        return owner.merchant if owner is not None else None

    @property
    def given(self) -> frozenset[Proof]:
        """What was proved; what went to a phone that is not the registered one any more is nothing."""
        proved = frozenset(Proof(name) for name in self.kept["given"])
        phone = self.merchant.phone_digest if self.merchant else ""
        return proved if self.kept["phone"] == phone else proved - BY_PHONE

    @property
    def subject(self) -> str:
        """What challenges of this sitting are bound to."""
        return f"entry:{self.kept['nonce']}"

    @property
    def source(self) -> str:
        """Who asks for texts: a share of its own, that no stranger uses up."""
        return f"entry:{self.invitation.pk if self.invitation else self.kept['user']}"

    @property
    def actor(self) -> str:
        """As the audit trail names who is here."""
        return f"user:{self.user.pk}" if self.user else "anonymous"


def begin(
    request: HttpRequest,
    target: Target,
    *given: Proof,
    user: User | None = None,
    invitation: Invitation | None = None,
    name: str = "",
) -> Sitting:
    """Begin a sitting under a new session key; one before it is over. `name` is the account's as typed."""
    request.session.flush()
    merchant = (invitation or user).merchant if invitation or user else None  # type: ignore[union-attr]
    request.session[KEY] = {
        "target": target,
        "given": list(given),
        "user": user.pk if user else NOBODY,
        "hash": _hash_of(user),
        "name": keyed_digest("account", name.strip().casefold())[:32],
        "invitation": invitation.pk if invitation else "",
        "phone": merchant.phone_digest if merchant else "",
        "nonce": secrets.token_urlsafe(16),
        "code": {},
        "until": int(time.time()) + LIFE_S,
    }
    return Sitting(target, request.session[KEY], user, invitation)


def current(request: HttpRequest, target: Target) -> Sitting | None:
    """The sitting of this browser, if it is about this and what it hangs on is still there."""
    kept = request.session.get(KEY)
    if not kept or kept["target"] != target or kept["until"] <= time.time():
        return None
    if target is Target.JOIN:
        invitation = invitations.by_id(kept["invitation"])
        return Sitting(target, kept, invitation=invitation) if invitation else None
    user = User.objects.select_related("merchant").filter(pk=kept["user"]).first()
    if user is None or not OWNERS.admits(user):
        # Whoever named an account that there is not goes on, to nowhere; after a proof it cannot be one.
        return None if kept["given"] else Sitting(target, kept)
    return Sitting(target, kept, user) if kept["hash"] == _hash_of(user) else None


def note(request: HttpRequest, sitting: Sitting, proof: Proof) -> None:
    """Something was proved: on record, and under a new session key."""
    request.session.cycle_key()
    sitting.kept["given"] = [*sitting.kept["given"], proof]
    request.session[KEY] = sitting.kept
    facts = {"door": sitting.target, "proof": proof}
    record(Tag.PROVED_OUTSIDE, actor=sitting.actor, merchant=sitting.merchant, **facts)


def note_refused(sitting: Sitting, proof: Proof, reason: str) -> None:
    """A proof was wrong."""
    facts = {"door": sitting.target, "proof": proof, "reason": reason}
    subject = f"account:{sitting.kept['name']}"
    record(Tag.REFUSED_OUTSIDE, actor=sitting.actor, merchant=sitting.merchant, subject=subject, **facts)


def judge(sitting: Sitting) -> Decision:
    """What is still needed, and whether it can be had."""
    return decide(
        Standing(
            sitting.target,
            sitting.given,
            ways=ways_of(sitting),
            doubts=_doubts(sitting.merchant),
            blocks=_blocks(sitting.merchant),
        )
    )


def ways_of(sitting: Sitting) -> frozenset[Proof]:
    """The proofs that can be given here at all; addresses of the last 72 hours are none."""
    found = {Proof.INVITATION, Proof.PASSWORD, *sitting.given}
    if sitting.user is not None:
        app = TOTPDevice.objects.filter(user=sitting.user, confirmed=True)
        found |= {Proof.APP} if app.exists() else set()
        found |= {Proof.PASSKEY} if Passkey.objects.filter(user=sitting.user).exists() else set()
    if (merchant := sitting.merchant) is not None:
        found |= {Proof.TEXT} if merchant.phone else set()
        found |= {Proof.PAPER} if recovery_codes.left(merchant) else set()
        found |= {proof for proof in HOLDERS if written_to(merchant, proof)}
    return frozenset(found)


def written_to(merchant: Merchant, proof: Proof) -> list[addresses.Way]:
    """The mailboxes or contacts that count now."""
    return [way for way in addresses.usable(merchant, HOLDERS[proof]) if not way.held]


def _doubts(merchant: Merchant | None) -> frozenset[Doubt]:
    if merchant is None:
        return frozenset()
    now = timezone.now()
    stands = {
        Doubt.HELD: addresses.is_held(merchant.phone_held_until, now),
        Doubt.STALE: addresses.is_stale(merchant, now),
        Doubt.DISTRUSTED: merchant.texts_distrusted_at is not None,
        Doubt.EVERYBODY: guessing.everybody_waits() > 0,
    }
    return frozenset(doubt for doubt, is_so in stands.items() if is_so)


def _blocks(merchant: Merchant | None) -> frozenset[Block]:
    if merchant is None or merchant.status != Merchant.Status.ACTIVE:
        return frozenset({Block.MERCHANT})
    frozen = merchant.frozen_until is not None and merchant.frozen_until > timezone.now()
    return frozenset({Block.FROZEN}) if frozen else frozenset()


def _hash_of(user: User | None) -> str:
    """Changes with the password: a sitting that began before is over."""
    return user.get_session_auth_hash() if user is not None else ""
