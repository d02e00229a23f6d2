"""Recoveries of operator passwords, and the tickets that people take over from there."""

from __future__ import annotations

import secrets

from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.codes import NUMBER_ALPHABET
from portal.fields import EncryptedTextField
from portal.models import Address, new_public_id
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


class GatePolicy(models.Model):
    """What a provider asks above the floors: for all shops, or for one besides. It makes nothing easier."""

    merchant = models.OneToOneField(
        "portal.Merchant",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="gate_policy",
        verbose_name=_("merchant"),
        help_text=_("Empty: for all shops."),
    )
    ordinary = models.PositiveSmallIntegerField(
        _("proofs for an ordinary operator"), choices=[(1, _("one")), (2, _("two"))], default=1
    )
    strict = models.PositiveSmallIntegerField(
        _("proofs for the supervisor, and whatever needs two"),
        choices=[(2, _("two")), (3, _("three"))],
        default=2,
    )
    shut = models.JSONField(_("proofs that are not taken"), default=list, blank=True)

    class Meta:
        verbose_name = _("rule about proofs")
        verbose_name_plural = _("rules about proofs")
        constraints = [models.UniqueConstraint(Coalesce("merchant", 0), name="one_rule_for_all_shops")]

    def __str__(self) -> str:
        return str(self.merchant or _("all shops"))


class Objection(models.Model):
    """Somebody says that what a notice told of was not them: first the code, then everything is stopped.

    Until the worker has looked, `merchant` is empty for everybody; for strangers it stays empty, and what
    they see is the same (design D8).
    """

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    number = models.CharField(_("number"), max_length=9, editable=False)
    kind = models.CharField(max_length=8, choices=Address.Kind.choices, editable=False)
    to = EncryptedTextField(editable=False)
    locale = models.CharField(max_length=10, default="zh-hans", editable=False)
    address_block = models.CharField(max_length=64, blank=True, default="", editable=False)
    challenge = models.OneToOneField(
        "portal.Challenge", on_delete=models.PROTECT, related_name="+", editable=False
    )
    merchant = models.ForeignKey(
        "portal.Merchant", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    # What the number names: a recovery, or a change of an address.
    recovery = models.ForeignKey(
        Recovery, null=True, blank=True, on_delete=models.PROTECT, related_name="objections"
    )
    change = models.ForeignKey(
        "portal.AddressChange", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True, editable=False)
    resolved_at = models.DateTimeField(null=True, blank=True, editable=False)
    proved_at = models.DateTimeField(_("proved"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("objection")
        verbose_name_plural = _("objections")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.number

    @property
    def masked(self) -> str:
        """Where the code goes, as it was typed, with its middle hidden."""
        return mask_email(self.to) if self.kind == Address.Kind.EMAIL else mask_phone(self.to)


class Ticket(models.Model):
    """A case that a person has to look at. It proves nothing: whatever it says was typed by somebody."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        WAITING = "waiting", _("waiting for the merchant")
        CLOSED = "closed", _("closed")

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    number = models.CharField(
        _("ticket number"), max_length=9, unique=True, default=new_receipt_number, editable=False
    )
    state = models.CharField(
        _("state"), max_length=8, choices=State.choices, default=State.OPEN, db_index=True
    )
    step = models.CharField(_("got stuck at"), max_length=24, blank=True, default="")
    subject = models.CharField(_("subject"), max_length=120)
    recovery = models.ForeignKey(
        Recovery, null=True, blank=True, on_delete=models.SET_NULL, related_name="tickets"
    )
    merchant = models.ForeignKey(
        "portal.Merchant",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="tickets",
        verbose_name=_("merchant"),
    )
    phone = EncryptedTextField(_("phone to call back"), blank=True, default="")
    phone_digest = models.CharField(max_length=64, blank=True, default="", db_index=True, editable=False)
    assignee = models.ForeignKey(
        "portal.User",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="tickets",
        verbose_name=_("agent"),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.number} {self.subject}"

    @property
    def masked_phone(self) -> str:
        """Whom to call back, with the middle hidden."""
        return mask_phone(self.phone)


class TicketEntry(models.Model):
    """One thing said or done on a ticket."""

    class Author(models.TextChoices):
        MERCHANT = "merchant", _("merchant")
        STAFF = "staff", _("support")
        SYSTEM = "system", _("system")

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="entries")
    at = models.DateTimeField(_("at"), default=timezone.now)
    author = models.CharField(_("who"), max_length=10, choices=Author.choices)
    user = models.ForeignKey(
        "portal.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    text = models.TextField(_("text"), max_length=4000)

    class Meta:
        verbose_name = _("entry")
        verbose_name_plural = _("entries")
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.text[:40]
