"""Objecting with the number of a notice (“this wasn't me”): a code first, then everything is stopped."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone

from portal import addresses, challenges, changes, texting, vetoes
from portal.celery import nudge
from portal.challenges import Outcome
from portal.models import Address, AddressChange, Merchant
from portal.notices import CHANNELS
from recovery.models import Objection, Recovery
from recovery.not_me import stop_all
from recovery.steps import ATTENTION

PURPOSE = "not-me"
# For so long after a notice its number is taken.
SINCE = timedelta(days=7)


def start(number: str, kind: str, to: str, locale: str, block: str) -> Objection:
    """Store what was typed and leave the rest to a worker; the same rows for everybody (design D8)."""
    objection = Objection(number=number, kind=kind, to=to, locale=locale, address_block=block)
    with transaction.atomic():
        objection.challenge = challenges.open_for(
            PURPOSE, to, CHANNELS[Address.Kind(kind)], subject=_subject(objection)
        )
        objection.save(force_insert=True)
        challenges.take_send(objection.challenge.id)
        transaction.on_commit(partial(nudge, "recovery.tasks.look_into", objection.id))
    return objection


def look_into(objection_id: str) -> bool:
    """Decide, in a worker, whom it is about, and send the code; whether this call did."""
    objection = Objection.objects.select_related("challenge").filter(pk=objection_id).first()
    if objection is None or objection.resolved_at is not None:
        return False
    recovery, change = _named_by(objection.number)
    about = recovery or change
    merchant = about.merchant if about is not None else None
    if merchant is not None and not _reaches(merchant, objection.to):
        merchant = None
    with transaction.atomic():
        mine = Objection.objects.filter(pk=objection_id, resolved_at__isnull=True)
        if mine.update(resolved_at=timezone.now()) != 1:
            return False
        ask = texting.Ask(
            objection.to, objection.address_block, merchant, channel=objection.challenge.channel
        )
        if not texting.refusal(ask) and merchant is not None:
            Objection.objects.filter(pk=objection_id).update(
                merchant=merchant, recovery=recovery, change=change
            )
            challenges.queue_code(objection.challenge, "code", objection.locale)
    return True


def waiting_for_worker(now: datetime) -> list[str]:
    """Objections whose nudge may have been lost, while somebody still waits for the code."""
    young = Objection.objects.filter(created_at__gt=now - ATTENTION, resolved_at__isnull=True)
    return list(young.filter(created_at__lt=now - timedelta(seconds=2)).values_list("pk", flat=True)[:200])


def _named_by(number: str) -> tuple[Recovery | None, AddressChange | None]:
    recent = Recovery.objects.filter(number=number, created_at__gt=timezone.now() - SINCE)
    recovery = recent.exclude(merchant=None).select_related("merchant").first()
    return recovery, vetoes.standing(number)


def _reaches(merchant: Merchant, to: str) -> bool:
    """Whether this is where the shop is told things: its phone, an address of the owner, or one replaced
    less than 72 hours ago.
    """
    own = addresses.alive(merchant).filter(holder=Address.Holder.OWNER, digest=addresses.digest_of(to))
    return to in {merchant.phone, *(change.old for change in changes.standing(merchant))} or own.exists()


def prove(objection: Objection, text: str) -> Outcome:
    """Judge the code; when it is right, everything is stopped. A stranger's is judged like anybody's."""
    known = objection.merchant_id is not None
    outcome = challenges.check(objection.challenge_id, PURPOSE, _subject(objection), text, accept=known)
    if outcome.ok and objection.merchant is not None:
        _act(objection, objection.merchant)
    return outcome


def _act(objection: Objection, merchant: Merchant) -> None:
    by = f"objection:{objection.pk}"
    Objection.objects.filter(pk=objection.pk).update(proved_at=timezone.now())
    if objection.change is not None:
        objection.change.merchant = merchant
        changes.stop(objection.change, by)
    stop_all(merchant, by, objection.recovery)


def _subject(objection: Objection) -> str:
    return f"objection:{objection.pk}"
