"""Recoveries of operator passwords, and what was proved in them."""

from __future__ import annotations

import secrets

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.codes import NUMBER_ALPHABET
from portal.fields import EncryptedTextField
from portal.secrets import mask_email, mask_phone
from terminals.protocol import new_id


def new_recovery_id() -> str:
    """`rec_` and 16 random base64url characters."""
    return new_id("rec")


def new_receipt_number() -> str:
    """A number to read out on the phone, such as R7F3-K229; it names a recovery and proves nothing."""
    text = "".join(secrets.choice(NUMBER_ALPHABET) for _ in range(8))
    return f"{text[:4]}-{text[4:]}"


class Recovery(models.Model):
    """One journey of one browser from "I forgot" to a command.

    Until the worker has looked, `merchant` is empty for everybody; for strangers it stays empty and the
    journey looks the same (design D8).
    """

    class State(models.TextChoices):
        STARTED = "started", _("started")
        PROVING = "proving", _("waiting for the code")
        PROVED = "proved", _("proved")
        SETTING = "setting", _("choosing a password")
        DISPATCHED = "dispatched", _("sent to the terminal")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        ESCALATED = "escalated", _("handed to support")
        ABANDONED = "abandoned", _("abandoned")

    id = models.CharField(primary_key=True, max_length=20, default=new_recovery_id, editable=False)
    number = models.CharField(
        _("receipt number"), max_length=9, unique=True, default=new_receipt_number, editable=False
    )

    class Door(models.TextChoices):
        BROWSER = "browser", _("a browser")
        TERMINAL = "terminal", _("the terminal")
        OWNER = "owner", _("a signed-in owner")
        SUPPORT = "support", _("the support desk")

    state = models.CharField(
        _("state"), max_length=12, choices=State.choices, default=State.STARTED, db_index=True, editable=False
    )
    door = models.CharField(
        _("started at"), max_length=8, choices=Door.choices, default=Door.BROWSER, editable=False
    )
    # What somebody typed or scanned from a terminal's screen; kept as its keyed digest.
    user_code_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    # The owner said from the start that the terminal has no network.
    offline = models.BooleanField(default=False, editable=False)
    # Where it was started at a terminal: the request shown there, and when the match number was confirmed.
    request = models.OneToOneField(
        "terminals.RecoveryRequest", null=True, blank=True, on_delete=models.PROTECT, editable=False
    )
    possession_at = models.DateTimeField(_("stood at the terminal"), null=True, blank=True, editable=False)
    reason = models.CharField(_("reason"), max_length=32, blank=True, default="", editable=False)
    browser_digest = models.CharField(max_length=64, unique=True, editable=False)
    # Of the long-lived cookie, together with the phone that was typed; most browsers have none.
    known_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    identifier = models.CharField(_("what was typed"), max_length=32, editable=False)
    # Where the first code goes: one of the two; neither where the first proof was a passkey or an app.
    phone = EncryptedTextField(editable=False)
    email = EncryptedTextField(blank=True, default="", editable=False)
    locale = models.CharField(max_length=10, default="zh-hans", editable=False)
    address_block = models.CharField(max_length=64, blank=True, default="", editable=False)
    signed_in_user = models.ForeignKey(
        "portal.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    challenge = models.OneToOneField("portal.Challenge", on_delete=models.PROTECT, editable=False)
    # How many of the challenge's send slots the worker has dealt with; below `challenge.sends` one is owed.
    texts_settled = models.PositiveSmallIntegerField(default=0, editable=False)
    resolved_at = models.DateTimeField(null=True, blank=True, editable=False)
    merchant = models.ForeignKey(
        "portal.Merchant",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("merchant"),
    )
    terminal = models.ForeignKey(
        "terminals.Terminal",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("terminal"),
    )
    operator_number = models.CharField(_("operator"), max_length=2, blank=True, default="", editable=False)
    command = models.OneToOneField("terminals.Command", null=True, blank=True, on_delete=models.PROTECT)

    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True, editable=False)
    proved_at = models.DateTimeField(_("proved"), null=True, blank=True, editable=False)
    dispatched_at = models.DateTimeField(_("sent"), null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(db_index=True, editable=False)

    class Meta:
        verbose_name = _("recovery")
        verbose_name_plural = _("recoveries")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.number

    @property
    def masked_phone(self) -> str:
        """The phone or the mailbox that was typed, with its middle hidden; empty for none."""
        return mask_email(self.email) if self.email else mask_phone(self.phone)


class Proof(models.Model):
    """One thing that was proved in one recovery, once; `recovery.gates` says what it is worth.

    `subject` is what proved it: a terminal, an owner's account, an address; empty where there is only one.
    """

    recovery = models.ForeignKey(Recovery, on_delete=models.CASCADE, related_name="proofs")
    method = models.CharField(_("how"), max_length=16)
    # 2 is a full proof, 1 half of one: what it was worth when it was given.
    strength = models.PositiveSmallIntegerField(default=2)
    at = models.DateTimeField(_("at"), default=timezone.now)
    subject = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        verbose_name = _("proof")
        verbose_name_plural = _("proofs")
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["recovery", "method", "subject"], name="a_proof_counts_once")
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.strength}"
