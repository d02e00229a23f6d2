"""Proofs are given here: each one row, once, whoever asks twice."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from portal import addresses, challenges, guessing, passkeys, recovery_codes, texting
from portal.audit import Tag
from portal.challenges import Outcome
from portal.models import Address, Challenge, Channel
from recovery.authority import actor_of, note
from recovery.gates.floors import CHANNEL, FULL, Method
from recovery.models import Proof, Recovery
from recovery.sources import source_of
from recovery.ways import addresses_of, apps_of, passkeys_of

PURPOSE = "recovery-passkey"
WRITTEN = "recovery-address"


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


def write_to(recovery: Recovery, method: Method, address_id: str) -> bool:
    """Send a code to an address of the shop, or the same one again; whether one is on its way."""
    merchant = recovery.merchant
    way = _address(recovery, method, address_id)
    if merchant is None or way is None:
        return False
    channel = Channel.EMAIL if way.kind == Address.Kind.EMAIL else Channel.SMS
    before = awaited(recovery, method)
    again = before is not None and before.subject == _subject(recovery, method, way.id)
    if (
        before is not None
        and again
        and (challenges.next_send_in(before) or not challenges.sends_left(before))
    ):
        return True
    source = source_of(recovery, merchant)
    if texting.refusal(texting.Ask(way.to, recovery.address_block, merchant, source, channel=channel)):
        return False
    if before is None or not again:
        before = challenges.open_for(WRITTEN, way.to, channel, subject=_subject(recovery, method, way.id))
    template = "help-code" if method is Method.CONTACT else "code"
    return challenges.send(before, template, way.locale, known_source=source != "") is not None


def awaited(recovery: Recovery, method: Method) -> Challenge | None:
    """The code that was sent last for this method and may still be typed."""
    mine = Challenge.objects.filter(purpose=WRITTEN, subject__startswith=_subject(recovery, method, ""))
    alive = mine.filter(used_at__isnull=True, expires_at__gt=timezone.now(), attempts__lt=challenges.ATTEMPTS)
    return alive.order_by("-created_at").first()


def by_address(recovery: Recovery, method: Method, text: str) -> Outcome:
    """Judge a code that went to an address, if the address is still the shop's."""
    challenge = awaited(recovery, method)
    if challenge is None:
        return Outcome(False, "expired", 0)
    address_id = challenge.subject.rpartition(":")[2]
    way = _address(recovery, method, address_id)
    mine = way is not None and way.to == challenge.to
    outcome = challenges.check(challenge.id, WRITTEN, challenge.subject, text, accept=mine)
    if outcome.ok:
        give(recovery, method, subject=address_id)
    return outcome


def _subject(recovery: Recovery, method: Method, address_id: str) -> str:
    return f"{recovery.id}:{method}:{address_id}"


def _address(recovery: Recovery, method: Method, address_id: str) -> addresses.Way | None:
    assert recovery.merchant is not None
    return next((way for way in addresses_of(recovery.merchant, method) if way.id == address_id), None)


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
