"""What people sign in with besides a password, and the browsers in which they are signed in."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device, DeviceManager

ID_LENGTH = 1364  # a credential id has at most 1023 bytes (W3C Web Authentication Level 3, section 4)


class Passkey(Device):
    """A WebAuthn credential: the public key, and how often its authenticator says it was used.

    It is a device of django-otp, so that a session stays verified as long as the row is there.
    """

    kind = "passkey"
    pending = ""
    objects: ClassVar[models.Manager[Passkey]] = DeviceManager()

    credential_id = models.CharField(max_length=ID_LENGTH, unique=True, editable=False)
    public_key = models.BinaryField(editable=False)
    sign_count = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("passkey")
        verbose_name_plural = _("passkeys")
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"{self.user} {self.name}"


class BrowserSession(AbstractBaseSession):
    """What one browser's session holds, under a digest of its key; once signed in, whose and where it is."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    browser = models.CharField(max_length=80, default="")
    block = models.CharField(max_length=43, default="")
    started_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    def __str__(self) -> str:
        return f"{self.browser} {self.block}"
