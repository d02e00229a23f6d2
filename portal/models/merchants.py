"""Merchants, their stores, and the people who sign in."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
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
    # Too many wrong codes: texts alone prove nothing until another proof was given.
    texts_distrusted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When a code to this phone was last typed back by somebody of the shop; empty: never since it is noted.
    phone_confirmed_at = models.DateTimeField(_("phone confirmed"), null=True, blank=True, editable=False)
    # Until then the phone, which was replaced, helps neither the supervisor nor maintenance.
    phone_held_until = models.DateTimeField(_("phone held until"), null=True, blank=True, editable=False)
    # Somebody said "this wasn't me": until then nobody resets anything.
    frozen_until = models.DateTimeField(_("frozen until"), null=True, blank=True, editable=False)
    # When its owner was last reminded to confirm how the shop is reached.
    reminded_at = models.DateTimeField(null=True, blank=True, editable=False)
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
    """Somebody who signs in: an owner of one merchant, support staff, or a partner of one acquirer."""

    merchant = models.ForeignKey(
        Merchant,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="users",
        verbose_name=_("merchant"),
    )
    phone = EncryptedTextField(_("phone"), blank=True, default="")
    # How the merchant numbers begin that a partner may know of; empty for everybody else.
    acquirer_code = models.CharField(
        _("acquirer code"),
        max_length=3,
        blank=True,
        default="",
        validators=[RegexValidator(r"\A[0-9]{3}\Z", _("An acquirer code has 3 digits."))],
        help_text=_("For partners only: the first 3 digits of the merchant numbers of their bank."),
    )

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(acquirer_code="")
                | models.Q(is_staff=False, is_superuser=False, merchant__isnull=True),
                name="partners_are_nobody_else",
            ),
            models.CheckConstraint(
                condition=models.Q(is_staff=False) | models.Q(merchant__isnull=True),
                name="staff_belong_to_no_merchant",
            ),
        ]

    @property
    def masked_phone(self) -> str:
        """The phone with its middle hidden."""
        return mask_phone(self.phone)
