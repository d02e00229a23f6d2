"""Wrong codes, counted over days and over everybody; past a budget a text alone proves nothing (T12).

A code that was right gives nothing back. Strangers' wrong codes walk the same road and are counted apart, for
they could not have been right.
"""

from __future__ import annotations

from django.utils import timezone

from portal.alarms import raise_alarm
from portal.audit import Tag, record
from portal.limits import look, rate_of, take, tallied, tally
from portal.models import Merchant, phone_digest

OVERALL, PER_PHONE = "wrong-codes-overall", "wrong-codes-per-phone"
EVERYBODY, STRANGERS = "everybody", "strangers"


def note_wrong(phone: str, *, real: bool) -> None:
    """Count a wrong code to this phone; `real` when the right one would have been taken."""
    digest = phone_digest(phone) or STRANGERS
    counted, whose = (EVERYBODY, digest) if real else (STRANGERS, f"!{digest[1:]}")
    within = take(OVERALL, counted).ok
    if tally(PER_PHONE, whose) >= rate_of(PER_PHONE).amount:
        _distrust(whose)
    # Only whoever took the last one tells it, not everybody after.
    if not look(OVERALL, counted).ok and within and real:
        raise_alarm(Tag.GUESSING_ALARM, limit=OVERALL)


def is_worn(address: str) -> bool:
    """Whether so many wrong codes were typed for this mailbox that none goes there to begin with."""
    return bool(address) and tallied(PER_PHONE, phone_digest(address)) >= rate_of(PER_PHONE).amount


def _distrust(digest: str) -> None:
    """From now on texts alone prove nothing for the shops with this phone."""
    trusted = Merchant.objects.filter(phone_digest=digest, texts_distrusted_at__isnull=True)
    for merchant in trusted:
        mine = trusted.filter(pk=merchant.pk)
        if mine.update(texts_distrusted_at=timezone.now()) == 1:
            record(Tag.TEXTS_DISTRUSTED, actor="system", merchant=merchant, limit=PER_PHONE)


def trust_again(merchant: Merchant, by: str) -> bool:
    """Another proof was given: texts count again until the next wrong code over the budget."""
    distrusted = Merchant.objects.filter(pk=merchant.pk, texts_distrusted_at__isnull=False)
    if distrusted.update(texts_distrusted_at=None) != 1:
        return False
    record(Tag.TEXTS_TRUSTED, actor=by, merchant=merchant)
    return True


def everybody_waits() -> int:
    """Seconds for which nobody is let in by a text alone; 0 while the day's wrong codes last."""
    state = look(OVERALL, EVERYBODY)
    return 0 if state.ok else state.resets_in
