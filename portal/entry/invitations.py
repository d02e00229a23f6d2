"""Inviting somebody of a shop: a code that is shown once, kept as a digest, and makes one account."""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from portal.audit import Tag, record
from portal.devices import SMSDevice
from portal.limits import spend
from portal.models import Invitation, Merchant, User
from portal.notices import tell_shop
from portal.paper import Slip, draw, read, written
from portal.secrets import keyed_digest

LIFE = timedelta(days=7)


class Over(Exception):
    """The invitation was used, withdrawn or is too old, or its shop is not served any more."""


class NameTaken(Exception):
    """Somebody has an account of this name."""


def invite(merchant: Merchant, by: str) -> str:
    """Make an invitation, end the one before, and tell the shop; the code as it is read out or printed.

    Raises TooMany when the shop has had its invitations for today.
    """
    spend("invitations-per-merchant", merchant.number)
    code, now = draw(), timezone.now()
    with transaction.atomic():
        # One at a time per shop, so that two clicks leave one alive.
        merchant = Merchant.objects.select_for_update(no_key=True).get(pk=merchant.pk)
        _open(merchant).update(revoked_at=now)
        made = keep(merchant, code, by)
        record(Tag.INVITED, actor=by, merchant=merchant, subject=f"invitation:{made.pk}")
        tell_shop(merchant, "invited")
    return written(code)


def keep(merchant: Merchant, code: str, by: str) -> Invitation:
    """The row of a code of sixteen symbols; it cannot be read back."""
    now = timezone.now()
    return Invitation.objects.create(
        merchant=merchant, digest=_digest(code), created_by=by, created_at=now, expires_at=now + LIFE
    )


def withdraw(invitation: Invitation, by: str) -> bool:
    """End an invitation that nobody has used; whether this call did."""
    mine = Invitation.objects.filter(pk=invitation.pk, used_at__isnull=True, revoked_at__isnull=True)
    if mine.update(revoked_at=timezone.now()) != 1:
        return False
    subject = f"invitation:{invitation.pk}"
    record(Tag.INVITATION_WITHDRAWN, actor=by, merchant=invitation.merchant, subject=subject)
    return True


def find(typed: str) -> Invitation | None:
    """The invitation with this code, if it is good now; unknown, used and old ones are one answer."""
    try:
        digest = _digest(read(typed))
    except Slip:
        return None
    return _good().filter(digest=digest).first()


def by_id(pk: str) -> Invitation | None:
    """The same for one that was found before."""
    return _good().filter(pk=pk).first()


def accept(invitation: Invitation, username: str, password_hash: str) -> User:
    """Make the account, once, whoever asks in parallel. Raises Over and NameTaken.

    The shop is told. What the account signs in with besides its password is, for now, the registered phone.
    """
    now = timezone.now()
    with transaction.atomic():
        merchant = Merchant.objects.select_for_update(no_key=True).get(pk=invitation.merchant_id)
        if _good().filter(pk=invitation.pk).update(used_at=now) != 1:
            raise Over
        if User.objects.filter(username__iexact=username).exists():
            raise NameTaken
        user = _account(merchant, username, password_hash)
        SMSDevice.objects.create(user=user, name="phone")
        Invitation.objects.filter(pk=invitation.pk).update(account=user)
        record(Tag.JOINED, actor=f"user:{user.pk}", merchant=merchant, subject=f"invitation:{invitation.pk}")
        tell_shop(merchant, "joined")
    return user


def _account(merchant: Merchant, username: str, password_hash: str) -> User:
    try:
        with transaction.atomic():
            return User.objects.create(
                username=username, password=password_hash, merchant=merchant, phone=merchant.phone
            )
    except IntegrityError as error:
        # Another shop's has taken the name since we looked.
        raise NameTaken from error


def _open(merchant: Merchant) -> QuerySet[Invitation]:
    return Invitation.objects.filter(merchant=merchant, used_at__isnull=True, revoked_at__isnull=True)


def _good() -> QuerySet[Invitation]:
    alive = Invitation.objects.filter(
        used_at__isnull=True, revoked_at__isnull=True, expires_at__gt=timezone.now()
    )
    return alive.filter(merchant__status=Merchant.Status.ACTIVE).select_related("merchant")


def _digest(code: str) -> str:
    return keyed_digest("invitation", code)
