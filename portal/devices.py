"""Second factors: a texted code and an authenticator app, behind django-otp's device interface.

Django-otp's own devices keep seeds and codes in the clear and check them on unlocked rows. Of django-otp we
use the interface, the middleware and RFC 6238; storing and judging is ours (design D7).
"""

from __future__ import annotations

import base64
import secrets
import time
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote, urlencode

from django.db import models
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device, DeviceManager
from django_otp.oath import hotp

from portal import challenges
from portal.challenges import Outcome
from portal.codes import DIGITS, equal, normalise_code
from portal.fields import EncryptedTextField
from portal.limits import spend, take
from portal.models import Challenge

PURPOSE = "sign-in"
SEED_BYTES = 20  # RFC 4226, section 4: 160 bits
STEP_S = 30
# One step either way, so a code lives 90 s at most where ASVS 6.5.5 would have 30 s: phones' clocks are off
# by seconds, and a code typed as it turns must not fail. A step counts once, and never one before it again.
TOLERANCE = 1


class SMSDevice(Device):
    """The user's own phone, asked by text message.

    A code belongs to the browser that asked for it: the challenge's id (`pending`) is kept in that browser's
    session and never in this row, so a device fresh from the database accepts nothing.
    """

    kind = "sms"
    pending: str = ""
    objects: ClassVar[models.Manager[SMSDevice]] = DeviceManager()

    class Meta:
        verbose_name = _("phone for codes")
        verbose_name_plural = _("phones for codes")
        constraints = [models.UniqueConstraint(fields=["user"], name="one_phone_for_codes_per_user")]

    def __str__(self) -> str:
        return f"{self.user} {self.user.masked_phone}"

    @property
    def subject(self) -> str:
        """What its challenges are bound to."""
        return f"device:{self.pk}"

    def generate_challenge(self) -> str:
        """Open a challenge, text its code and remember it in `pending`; returns the masked phone.

        Raises TooMany when this phone has had its texts for today.
        """
        spend("sign-in-sms-per-phone", self.user.phone)
        challenge = challenges.open_challenge(PURPOSE, self.subject, self.user.phone)
        challenges.send(challenge, PURPOSE, get_language() or "zh-hans")
        self.pending = challenge.id
        return str(self.user.masked_phone)

    def judge(self, text: str) -> Outcome:
        """Judge a typed code against the pending challenge. A phone changed since then makes it void."""
        if not self.pending:
            return Outcome(False, "expired", 0)
        challenge = Challenge.objects.filter(id=self.pending).first()
        same_phone = challenge is not None and challenge.phone == self.user.phone
        return challenges.check(self.pending, PURPOSE, self.subject, text, accept=same_phone)

    def verify_token(self, token: str) -> bool:
        """Whether the code is right; django-otp's word for `judge`."""
        return self.judge(token).ok


def new_seed() -> str:
    """160 random bits in base32, as authenticator apps take them."""
    return base64.b32encode(secrets.token_bytes(SEED_BYTES)).decode()


class TOTPDevice(Device):
    """An authenticator app (RFC 6238, SHA-1, six digits, 30 s). The seed is sealed at rest."""

    kind = "totp"
    pending = ""
    objects: ClassVar[models.Manager[TOTPDevice]] = DeviceManager()

    seed = EncryptedTextField(editable=False, default=new_seed)
    last_step = models.BigIntegerField(editable=False, default=-1)

    class Meta:
        verbose_name = _("authenticator app")
        verbose_name_plural = _("authenticator apps")

    def __str__(self) -> str:
        return f"{self.user} {self.name}"

    @property
    def used_at(self) -> datetime | None:
        """When a code of it last counted, to the half minute."""
        return datetime.fromtimestamp(self.last_step * STEP_S, UTC) if self.last_step > 0 else None

    def judge(self, text: str) -> Outcome:
        """Judge a typed code. A try is spent before comparing; a step counts once, whoever asks in parallel.

        `tries_left` is 0 when no try is allowed for now, else 1: how many there are is not told.
        """
        typed = normalise_code(text)
        if typed is None:
            return Outcome(False, "malformed", 1)
        if not take("second-factor-per-account", f"user:{self.user_id}").ok:
            return Outcome(False, "exhausted", 0)
        step = self._step_of(typed)
        if step is None:
            return Outcome(False, "wrong", 1)
        unused = TOTPDevice.objects.filter(pk=self.pk, last_step__lt=step)
        return Outcome(True, "ok", 1) if unused.update(last_step=step) == 1 else Outcome(False, "used", 1)

    def _step_of(self, typed: str) -> int | None:
        key, now = base64.b32decode(self.seed), int(time.time()) // STEP_S
        steps = range(now - TOLERANCE, now + TOLERANCE + 1)
        # All are compared, so that the time taken does not tell which came close.
        found = [step for step in steps if equal(typed, str(hotp(key, step, DIGITS)).zfill(DIGITS))]
        return found[-1] if found else None

    def verify_token(self, token: str) -> bool:
        """Whether the code is right; django-otp's word for `judge`."""
        return self.judge(token).ok

    def enrolment_uri(self) -> str:
        """The `otpauth:` address to show once, as a QR code, to its owner."""
        label = quote(f"Rekey:{self.user.get_username()}")
        query = urlencode({"secret": self.seed, "issuer": "Rekey", "digits": DIGITS, "period": STEP_S})
        return f"otpauth://totp/{label}?{query}"
