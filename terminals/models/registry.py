"""Registered terminals, their makes, how each is doing, and the operators on them."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.fields import EncryptedTextField
from terminals.protocol import new_id


def new_terminal_id() -> str:
    """`trm_` and 16 random base64url characters."""
    return new_id("trm")


class TerminalModel(models.Model):
    """A make of terminal: its keypad and what it asks of a password, per role."""

    class Keypad(models.TextChoices):
        DIGITS = "digits", _("digits only")
        FULL = "full", _("full keyboard")

    vendor = models.CharField(_("vendor"), max_length=60)
    name = models.CharField(_("model"), max_length=60)
    keypad = models.CharField(_("keypad"), max_length=8, choices=Keypad.choices, default=Keypad.DIGITS)
    ordinary_min = models.PositiveSmallIntegerField(_("operator: shortest"), default=4)
    ordinary_max = models.PositiveSmallIntegerField(_("operator: longest"), default=6)
    supervisor_min = models.PositiveSmallIntegerField(_("supervisor: shortest"), default=6)
    supervisor_max = models.PositiveSmallIntegerField(_("supervisor: longest"), default=6)
    maintenance_min = models.PositiveSmallIntegerField(_("maintenance: shortest"), default=8)
    maintenance_max = models.PositiveSmallIntegerField(_("maintenance: longest"), default=8)
    factory_defaults = models.JSONField(_("factory passwords"), default=list, blank=True)
    # Beginnings of version numbers, such as "4.2"; empty means that every version is supported.
    supported_firmware = models.JSONField(_("supported firmware"), default=list, blank=True)

    class Meta:
        verbose_name = _("terminal model")
        verbose_name_plural = _("terminal models")
        constraints = [
            models.UniqueConstraint(fields=["vendor", "name"], name="terminal_model_once"),
            models.CheckConstraint(
                condition=Q(ordinary_min__gte=4, ordinary_min__lte=F("ordinary_max"))
                & Q(supervisor_min__gte=4, supervisor_min__lte=F("supervisor_max"))
                & Q(maintenance_min__gte=4, maintenance_min__lte=F("maintenance_max")),
                name="password_lengths_make_sense",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.vendor} {self.name}"


class EnrollmentBatch(models.Model):
    """Terminals that were registered together from one list, to be paired from one printed sheet."""

    store = models.ForeignKey(
        "portal.Store", on_delete=models.PROTECT, related_name="+", verbose_name=_("store"), null=True
    )
    name = models.CharField(_("name"), max_length=60)
    created_by = models.CharField(_("created by"), max_length=64)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("batch of terminals")
        verbose_name_plural = _("batches of terminals")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class Terminal(models.Model):
    """One till. Its keys are the truth about who may speak for it and who can read what is sent to it."""

    class State(models.TextChoices):
        NEW = "new", _("not paired yet")
        UNCONFIRMED = "unconfirmed", _("pairing")
        ACTIVE = "active", _("active")
        QUARANTINED = "quarantined", _("stopped")
        REVOKED = "revoked", _("revoked")

    class StopReason(models.TextChoices):
        LOST = "lost", _("lost")
        STOLEN = "stolen", _("stolen")
        TAMPER = "tamper", _("opened by force")
        SWAPPED = "swapped", _("replaced by another unit")
        OTHER = "other", _("another reason")

    class Power(models.TextChoices):
        MAINS = "mains", _("mains or Wi-Fi")
        CELLULAR = "cellular", _("cellular or battery")

    id = models.CharField(primary_key=True, max_length=20, default=new_terminal_id, editable=False)
    store = models.ForeignKey(
        "portal.Store", on_delete=models.PROTECT, related_name="terminals", verbose_name=_("store")
    )
    model = models.ForeignKey(
        TerminalModel, on_delete=models.PROTECT, related_name="terminals", verbose_name=_("model")
    )
    name = models.CharField(_("name"), max_length=40)
    number = models.CharField(
        _("terminal number"),
        max_length=8,
        unique=True,
        validators=[RegexValidator(r"\A[0-9A-Z]{8}\Z", _("A terminal number has 8 letters or digits."))],
    )
    serial = models.CharField(
        _("serial number"),
        max_length=32,
        unique=True,
        validators=[
            RegexValidator(r"\A[0-9A-Z-]{4,32}\Z", _("A serial number has letters, digits and hyphens."))
        ],
    )
    power = models.CharField(
        _("power and network"), max_length=10, choices=Power.choices, default=Power.MAINS
    )
    poll_interval_s = models.PositiveSmallIntegerField(
        _("calls every (seconds)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(10), MaxValueValidator(3600)],
        help_text=_("Empty: as its power and network suggest."),
    )
    state = models.CharField(
        _("state"), max_length=12, choices=State.choices, default=State.NEW, db_index=True
    )
    stopped_at = models.DateTimeField(_("stopped"), null=True, blank=True, db_index=True, editable=False)
    stop_reason = models.CharField(
        _("why stopped"), max_length=8, choices=StopReason.choices, blank=True, default="", editable=False
    )
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, db_index=True, editable=False)
    # Set when the machine reports that it was opened: until a person clears it, nothing is sent to it.
    tampered_at = models.DateTimeField(_("opened by force"), null=True, blank=True, editable=False)
    replaced_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="replaces", editable=False
    )
    batch = models.ForeignKey(
        EnrollmentBatch,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="terminals",
        editable=False,
    )

    sign_key = models.JSONField(null=True, blank=True, editable=False)
    sign_kid = models.CharField(max_length=16, null=True, blank=True, unique=True, editable=False)
    enc_key = models.JSONField(null=True, blank=True, editable=False)
    enc_kid = models.CharField(max_length=16, null=True, blank=True, db_index=True, editable=False)
    # Keys that were offered at (re-)enrollment and wait for the nonce that proves the second one; or, with
    # `pending_until`, keys of a key roll that take over with their first request (protocol §1.4).
    pending_sign_key = models.JSONField(null=True, blank=True, editable=False)
    pending_sign_kid = models.CharField(max_length=16, null=True, blank=True, unique=True, editable=False)
    pending_enc_key = models.JSONField(null=True, blank=True, editable=False)
    # The key before the last key roll: receipts that were signed under it may still be in the outbox.
    previous_sign_key = models.JSONField(null=True, blank=True, editable=False)
    previous_sign_kid = models.CharField(max_length=16, null=True, blank=True, db_index=True, editable=False)
    pending_nonce_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    pending_until = models.DateTimeField(null=True, blank=True, editable=False)
    pending_offline_key = EncryptedTextField(blank=True, default="", editable=False)
    # What the unit said of itself with the pending keys; true of the terminal once they are in force.
    pending_facts = models.JSONField(default=dict, blank=True, editable=False)
    offline_key = EncryptedTextField(blank=True, default="", editable=False)

    offline_counter = models.BigIntegerField(default=0, editable=False)
    last_seq = models.BigIntegerField(default=0, editable=False)
    capabilities = models.JSONField(default=dict, blank=True, editable=False)
    firmware = models.CharField(_("firmware"), max_length=40, blank=True, default="", editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    activated_at = models.DateTimeField(_("paired"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("terminal")
        verbose_name_plural = _("terminals")
        ordering = ["store_id", "name"]

    def __str__(self) -> str:
        return f"{self.name} {self.number}"


class TerminalStatus(models.Model):
    """What a terminal last said of itself; written at most every few seconds, never on the hot path."""

    terminal = models.OneToOneField(
        Terminal, on_delete=models.CASCADE, primary_key=True, related_name="status"
    )
    last_seen_at = models.DateTimeField(_("last seen"), null=True, blank=True, db_index=True)
    last_answer = models.CharField(max_length=12, blank=True, default="")
    last_status = models.PositiveSmallIntegerField(_("last answer"), null=True, blank=True)
    battery = models.PositiveSmallIntegerField(_("battery"), null=True, blank=True)
    charging = models.BooleanField(_("charging"), null=True, blank=True)
    network = models.CharField(_("network"), max_length=8, blank=True, default="")
    app = models.CharField(_("application"), max_length=40, blank=True, default="")
    idle = models.BooleanField(null=True, blank=True)
    tamper = models.BooleanField(null=True, blank=True)
    reported_hwm = models.BigIntegerField(null=True, blank=True)
    keyset_version = models.PositiveIntegerField(null=True, blank=True)
    unsettled_batch = models.BooleanField(null=True, blank=True)
    inventory = models.JSONField(default=dict, blank=True)
    inventory_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("terminal status")
        verbose_name_plural = _("terminal status")

    def __str__(self) -> str:
        return f"{self.terminal_id} {self.last_seen_at}"


class Operator(models.Model):
    """A two-digit number on one terminal and the person behind it."""

    class Role(models.TextChoices):
        ORDINARY = "ordinary", _("operator")
        SUPERVISOR = "supervisor", _("supervisor")
        MAINTENANCE = "maintenance", _("maintenance")

    terminal = models.ForeignKey(
        Terminal, on_delete=models.CASCADE, related_name="operators", verbose_name=_("terminal")
    )
    number = models.CharField(
        _("operator number"), max_length=2, validators=[RegexValidator(r"\A[0-9]{2}\Z", _("Two digits."))]
    )
    name = models.CharField(_("name"), max_length=40)
    role = models.CharField(_("role"), max_length=12, choices=Role.choices, default=Role.ORDINARY)
    last_signed_on_at = models.DateTimeField(_("last sign-on"), null=True, blank=True)

    class Meta:
        verbose_name = _("operator")
        verbose_name_plural = _("operators")
        ordering = ["terminal_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["terminal", "number"], name="operator_number_once_per_terminal"),
            models.CheckConstraint(
                condition=(Q(number="00") & Q(role="supervisor"))
                | (Q(number="99") & Q(role="maintenance"))
                | (~Q(number__in=["00", "99"]) & Q(role="ordinary")),
                name="operator_role_follows_number",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"
