"""An owner's second factors: an app or a passkey is a must, the last one stays, changes are told."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from portal.audit import Tag, record
from portal.devices import TOTPDevice
from portal.messaging.outbox import queue_message
from portal.models import Passkey, User

STRONG = ("totp", "passkey")
LAST = _("This is your only second factor. Add another one first.")


def has_strong(user: User) -> bool:
    """Whether this person has more than a phone that gets texts, which NIST SP 800-63B-4 restricts."""
    if getattr(getattr(user, "otp_device", None), "kind", "") in STRONG:
        return True
    apps = TOTPDevice.objects.filter(user=user, confirmed=True)
    return apps.exists() or Passkey.objects.filter(user=user).exists()


def app_to_enrol(user: User) -> TOTPDevice:
    """The authenticator app whose seed is being shown to its owner; it counts for nothing yet."""
    made: TOTPDevice = TOTPDevice.objects.get_or_create(
        user=user, confirmed=False, defaults={"name": "authenticator"}
    )[0]
    return made


def confirm_app(user: User, app: TOTPDevice) -> bool:
    """Its owner typed a code of it: from now on this app counts, and one before it no more."""
    with transaction.atomic():
        if TOTPDevice.objects.filter(pk=app.pk, confirmed=False).update(confirmed=True) != 1:
            return False
        TOTPDevice.objects.filter(user=user).exclude(pk=app.pk).delete()
    note_added(user, app)
    return True


def note_added(user: User, device: TOTPDevice | Passkey) -> None:
    """Put a new second factor on record, and tell its owner's phone."""
    _note(Tag.SECOND_FACTOR_ADDED, "factor-added", user, device)


def remove(user: User, device: TOTPDevice | Passkey) -> bool:
    """Forget a second factor unless it is the last; sessions that came in by it are over."""
    with transaction.atomic():
        # Two tabs that each remove one of two would leave none.
        User.objects.select_for_update().get(pk=user.pk)
        apps = TOTPDevice.objects.filter(user=user, confirmed=True).count()
        last = apps + Passkey.objects.filter(user=user).count() <= 1
        if last or type(device).objects.filter(pk=device.pk).delete()[0] != 1:
            return False
        _note(Tag.SECOND_FACTOR_REMOVED, "factor-removed", user, device)
    return True


def _note(tag: Tag, template: str, user: User, device: TOTPDevice | Passkey) -> None:
    who = f"user:{user.pk}"
    record(tag, actor=who, merchant=user.merchant, subject=who, factor=device.kind)
    tell(user, template)


def tell(user: User, template: str) -> None:
    """A notice to the phone of this account, in the language of the page it was caused on."""
    if user.phone:
        queue_message(
            template, user.phone, get_language() or "zh-hans", facts={"hotline": settings.REKEY_HOTLINE}
        )
