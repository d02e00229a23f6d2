"""The ground tables: merchants, stores, people, challenges, messages, counters and the audit trail."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.fields import EncryptedTextField
from portal.secrets import keyed_digest, mask_phone


def new_public_id() -> str:
    """A random identifier of 96 bits for rows that are named outside the database."""
    return secrets.token_urlsafe(12)


def validate_merchant_number(value: str) -> None:
    """Check the structure of a 商户号: acquirer 3 + region 4 + category 4 + sequence 4, all digits.

    Raises ValidationError when the shape is wrong; it says nothing about whether the merchant exists.
    """
    if len(value) != 15 or not value.isascii() or not value.isdigit():
        raise ValidationError(_("A merchant number has exactly 15 digits."), code="merchant_number")
    if value[:3] == "000" or value[3:7] == "0000" or value[7:11] == "0000":
        raise ValidationError(
            _("This is not a merchant number: its bank, region or trade part is empty."),
            code="merchant_number",
        )


class Merchant(models.Model):
    """A shop's legal person, as the acquirer knows it."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        SUSPENDED = "suspended", _("suspended")
        CLOSED = "closed", _("closed")

    number = models.CharField(
        _("merchant number"), max_length=15, unique=True, validators=[validate_merchant_number]
    )
    legal_name = models.CharField(_("legal name"), max_length=120)
    phone = EncryptedTextField(_("registered phone"), blank=True, default="")
    phone_digest = models.CharField(max_length=64, blank=True, default="", db_index=True, editable=False)
    status = models.CharField(_("status"), max_length=12, choices=Status.choices, default=Status.ACTIVE)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("merchant")
        verbose_name_plural = _("merchants")
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.legal_name} {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the blind index of the phone beside its ciphertext."""
        self.phone_digest = phone_digest(self.phone)
        super().save(*args, **kwargs)

    @property
    def masked_phone(self) -> str:
        """The registered phone with its middle hidden, for people who may not see it."""
        return mask_phone(self.phone)


def phone_digest(phone: str) -> str:
    """Blind index of an E.164 phone: equal phones meet, the phone itself stays unreadable. Empty for none."""
    return keyed_digest("phone", phone) if phone else ""


class Store(models.Model):
    """One shop floor of a merchant."""

    merchant = models.ForeignKey(
        Merchant, on_delete=models.PROTECT, related_name="stores", verbose_name=_("merchant")
    )
    name = models.CharField(_("name"), max_length=60)
    address = models.CharField(_("address"), max_length=200, blank=True, default="")

    class Meta:
        verbose_name = _("store")
        verbose_name_plural = _("stores")
        ordering = ["merchant_id", "name"]
        constraints = [
            models.UniqueConstraint(fields=["merchant", "name"], name="store_name_once_per_merchant")
        ]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):  # type: ignore[django-manager-missing] # django-otp ships no types
    """Somebody who signs in: an owner of one merchant, or support staff (no merchant)."""

    merchant = models.ForeignKey(
        Merchant,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="users",
        verbose_name=_("merchant"),
    )
    phone = EncryptedTextField(_("phone"), blank=True, default="")

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(is_staff=False) | models.Q(merchant__isnull=True),
                name="staff_belong_to_no_merchant",
            )
        ]

    @property
    def masked_phone(self) -> str:
        """The phone with its middle hidden."""
        return mask_phone(self.phone)


class Challenge(models.Model):
    """A code that somebody has to type back: counters only, for the code itself is derived, never stored.

    `subject` binds it to one request ("recovery:rec_…", "login:42"). A decoy has no phone and can never be
    met, but spends attempts and sends like any other (design D7, D8).
    """

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    purpose = models.CharField(max_length=24)
    subject = models.CharField(max_length=64, db_index=True)
    phone = EncryptedTextField(blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    sends = models.PositiveSmallIntegerField(default=0)
    last_sent_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("challenge")
        verbose_name_plural = _("challenges")

    def __str__(self) -> str:
        return f"{self.purpose} {self.id}"


class Message(models.Model):
    """One message to a person and what became of it. Its text is made in the worker and kept nowhere."""

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("sending")
        ACCEPTED = "accepted", _("accepted by the provider")
        SENT = "sent", _("sent to the carrier")
        DELIVERED = "delivered", _("delivered")
        UNDELIVERED = "undelivered", _("could not be delivered")
        FAILED = "failed", _("failed")
        UNKNOWN = "unknown", _("outcome unknown")

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    template = models.CharField(_("template"), max_length=32)
    locale = models.CharField(_("language"), max_length=10, default="zh-hans")
    phone = EncryptedTextField(_("phone"))
    challenge = models.ForeignKey(
        Challenge, null=True, blank=True, on_delete=models.CASCADE, related_name="messages"
    )
    facts = models.JSONField(default=dict, blank=True)
    gateway = models.CharField(_("gateway"), max_length=16, blank=True, default="")
    provider_id = models.CharField(
        _("number at the provider"), max_length=64, blank=True, default="", db_index=True
    )
    callback_key = models.CharField(max_length=24, default=new_public_id, unique=True, editable=False)
    state = models.CharField(
        _("state"), max_length=12, choices=State.choices, default=State.QUEUED, db_index=True
    )
    error = models.CharField(_("error"), max_length=32, blank=True, default="")
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    claimed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("text message")
        verbose_name_plural = _("text messages")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.template} {self.masked_phone}"

    @property
    def masked_phone(self) -> str:
        """Where it went, with the middle hidden."""
        return mask_phone(self.phone)


class Allowance(models.Model):
    """One counter of one limit in one window; the row is the guard (design D12)."""

    limit = models.CharField(max_length=40)
    key_digest = models.CharField(max_length=64)
    window_start = models.BigIntegerField()
    taken = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("allowance")
        verbose_name_plural = _("allowances")
        constraints = [
            models.UniqueConstraint(
                fields=["limit", "key_digest", "window_start"], name="one_counter_per_window"
            )
        ]

    def __str__(self) -> str:
        return f"{self.limit} {self.taken}"


class AuditEvent(models.Model):
    """Something that happened, told once and never changed."""

    at = models.DateTimeField(_("at"), default=timezone.now, db_index=True)
    tag = models.CharField(_("what"), max_length=64, db_index=True)
    actor = models.CharField(_("who"), max_length=64, blank=True, default="")
    merchant = models.ForeignKey(
        Merchant, null=True, blank=True, on_delete=models.PROTECT, related_name="audit_events"
    )
    subject = models.CharField(_("about"), max_length=64, blank=True, default="", db_index=True)
    facts = models.JSONField(_("facts"), default=dict, blank=True)

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.tag}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only. Raises ValueError for a row that exists."""
        if self.pk is not None:
            raise ValueError("audit events are never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse. Raises ValueError always."""
        raise ValueError("audit events are never deleted")
