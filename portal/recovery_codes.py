"""Codes on paper: ten to a sheet, shown once, each good for one use; only one sheet of a shop is alive."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import get_language

from portal.audit import Tag, record
from portal.messaging.outbox import queue_message
from portal.models import Merchant, RecoveryCode
from portal.paper import ALPHABET, Slip, draw, read, written
from portal.secrets import keyed_digest

CODES = 10
FEW = 3  # from here on a new sheet is offered without being asked


@dataclass(frozen=True, slots=True)
class Sheet:
    """The sheet that is alive: its number, when it was made, how many codes are left, the last use."""

    number: str
    made_at: datetime
    left: int
    used_at: datetime | None


def make(merchant: Merchant, by: str) -> list[str]:
    """Make a new sheet, kill the one before, and tell the registered phone; the codes as they are printed.

    They are kept as keyed digests only: whoever does not print them now makes new ones.
    """
    codes, sheet, now = [draw() for _ in range(CODES)], _sheet_number(), timezone.now()
    with transaction.atomic():
        # One at a time per shop, so that two clicks leave one sheet alive.
        merchant = Merchant.objects.select_for_update(no_key=True).get(pk=merchant.pk)
        _alive(merchant).update(revoked_at=now)
        RecoveryCode.objects.bulk_create(
            RecoveryCode(
                merchant=merchant,
                sheet=sheet,
                digest=_digest(merchant, code),
                created_by=by,
                created_at=now,
            )
            for code in codes
        )
        record(Tag.CODES_MADE, actor=by, merchant=merchant, subject=sheet)
        _tell(merchant, "paper-made")
    return [written(code) for code in codes]


def use(merchant: Merchant, typed: str, used_for: str) -> bool:
    """Spend one code for what `used_for` names (`rec_…`); whether there was such a code, unspent.

    The row count decides, so one code opens one thing, whoever sends it how often. What cannot be a code is
    False as well; `portal.paper.read` tells the person why.
    """
    try:
        digest = _digest(merchant, read(typed))
    except Slip:
        return False
    with transaction.atomic():
        mine = _alive(merchant).filter(digest=digest)
        if mine.update(used_at=timezone.now(), used_for=used_for) != 1:
            return False
        row = RecoveryCode.objects.get(digest=digest)
        record(Tag.CODE_USED, actor=used_for, merchant=merchant, subject=row.sheet)
        _tell(merchant, "paper-used", left=left(merchant))
    return True


def left(merchant: Merchant) -> int:
    """How many codes may still be used."""
    return _alive(merchant).count()


def sheet_of(merchant: Merchant) -> Sheet | None:
    """The newest sheet, though all its codes may be used; None when none was ever made."""
    newest = RecoveryCode.objects.filter(merchant=merchant).first()
    if newest is None:
        return None
    rows = RecoveryCode.objects.filter(merchant=merchant, sheet=newest.sheet)
    used = rows.filter(used_at__isnull=False).order_by("-used_at").first()
    return Sheet(newest.sheet, newest.created_at, left(merchant), used.used_at if used else None)


def _alive(merchant: Merchant) -> QuerySet[RecoveryCode]:
    return RecoveryCode.objects.filter(merchant=merchant, used_at__isnull=True, revoked_at__isnull=True)


def _digest(merchant: Merchant, code: str) -> str:
    return keyed_digest("recovery-code", str(merchant.pk), code)


def _sheet_number() -> str:
    """A name for the card, such as `K7Q-F2M`; it opens nothing."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(6))
    return f"{text[:3]}-{text[3:]}"


def _tell(merchant: Merchant, template: str, **facts: int) -> None:
    if merchant.phone:
        told = {**facts, "hotline": settings.REKEY_HOTLINE}
        queue_message(template, merchant.phone, get_language() or settings.LANGUAGE_CODE, facts=told)
