"""Codes that somebody has to type back, and the messages that carry them."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.fields import EncryptedTextField
from portal.models.merchants import new_public_id
from portal.secrets import mask_email, mask_phone


class Channel(models.TextChoices):
    """How a code travels."""

    SMS = "sms", _("text message")
    VOICE = "voice", _("phone call")
    EMAIL = "email", _("e-mail")


class Challenge(models.Model):
    """A code that somebody has to type back: counters only, for the code itself is derived, never stored.

    `subject` binds it to one request ("recovery:rec_…", "login:42"). A decoy leads nowhere and can never be
    met, but spends attempts and sends like any other (design D7, D8). It goes to `phone` or to `email`.
    """

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    purpose = models.CharField(max_length=24)
    channel = models.CharField(max_length=8, choices=Channel.choices, default=Channel.SMS)
    subject = models.CharField(max_length=64, db_index=True)
    phone = EncryptedTextField(blank=True, default="")
    email = EncryptedTextField(blank=True, default="")
    # Counts up when another gateway takes over: from then on the code before it is worth nothing.
    generation = models.PositiveSmallIntegerField(default=0)
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

    @property
    def to(self) -> str:
        """Where its code goes: an E.164 number or an e-mail address; empty for a decoy."""
        return self.phone or self.email

    @property
    def seed(self) -> str:
        """What its code is derived from, besides the pepper and the purpose."""
        return f"{self.id}.{self.generation}" if self.generation else self.id


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
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices, default=Channel.SMS)
    locale = models.CharField(_("language"), max_length=10, default="zh-hans")
    phone = EncryptedTextField(_("phone"), blank=True, default="")
    email = EncryptedTextField(_("e-mail"), blank=True, default="")
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
    # What it cost, as the provider or our price list says: thousandths of a currency unit.
    cost_milli = models.PositiveIntegerField(_("cost (thousandths)"), default=0)
    # Asked for by a browser or a terminal that proved itself: it has a share of its own and tells nothing of
    # strangers.
    known_source = models.BooleanField(default=False, editable=False)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    # Of the challenge's code that it carries.
    generation = models.PositiveSmallIntegerField(default=0, editable=False)
    claimed_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(_("accepted"), null=True, blank=True)
    # When its last word was known, from the provider or from ourselves.
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.template} {self.masked_phone}"

    @property
    def to(self) -> str:
        """An E.164 number or an e-mail address."""
        return self.phone or self.email

    @property
    def masked_phone(self) -> str:
        """Where it went, phone or e-mail address, with the middle hidden."""
        return mask_phone(self.phone) or mask_email(self.email)
