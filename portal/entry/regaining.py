"""What the proofs were for: another password, or a second factor less; everybody told, nobody signed in."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password
from django.db import transaction

from portal import sessions
from portal.accounts import hashing
from portal.audit import Tag, record
from portal.devices import SMSDevice, TOTPDevice
from portal.entry.sitting import Sitting, judge
from portal.models import Passkey, User
from portal.notices import tell_shop


def hashed(password: str) -> str:
    """Argon2id, as many at once as signing in may. Raises TooBusy."""
    with hashing.one():
        return make_password(password)


def set_password(sitting: Sitting, password_hash: str) -> bool:
    """Replace the password that was forgotten and end every session; whether this call did.

    The row count decides: of two that were proved at once, one replaces the password, for it is another then.
    """
    user = sitting.user
    if user is None or not judge(sitting).allowed:
        return False
    with transaction.atomic():
        mine = User.objects.filter(pk=user.pk, password=user.password, is_active=True)
        if mine.update(password=password_hash) != 1:
            return False
        _settle(user, Tag.PASSWORD_RESET, "password-reset", sitting)
    return True


def remove_factors(sitting: Sitting) -> bool:
    """Forget the app and the passkeys and end every session; whether there were any.

    The next sign-in is by text, and before anything else it asks for a new second factor.
    """
    user = sitting.user
    if user is None or not judge(sitting).allowed:
        return False
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        gone = [model.objects.filter(user=user).delete()[0] for model in (TOTPDevice, Passkey)]
        if not any(gone):
            return False
        assert user.merchant is not None
        User.objects.filter(pk=user.pk).update(phone=user.merchant.phone)
        SMSDevice.objects.update_or_create(user=user, defaults={"name": "phone", "confirmed": True})
        _settle(user, Tag.FACTORS_LOST, "factors-lost", sitting)
    return True


def _settle(user: User, tag: Tag, template: str, sitting: Sitting) -> None:
    assert user.merchant is not None
    sessions.end(user)
    proofs = sorted(sitting.given)
    record(tag, actor=f"user:{user.pk}", merchant=user.merchant, subject=f"user:{user.pk}", proofs=proofs)
    tell_shop(user.merchant, template, contacts=True)
