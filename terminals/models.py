"""Registered terminals, the operators on them, the commands sent to them and the receipts they return."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.fields import EncryptedTextField
from terminals.protocol import new_id


def new_terminal_id() -> str:
    """`trm_` and 16 random base64url characters."""
    return new_id("trm")


def new_command_id() -> str:
    """`cmd_` and 16 random base64url characters."""
    return new_id("cmd")


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


class Terminal(models.Model):
    """One till. Its keys are the truth about who may speak for it and who can read what is sent to it."""

    class State(models.TextChoices):
        NEW = "new", _("not paired yet")
        UNCONFIRMED = "unconfirmed", _("pairing")
        ACTIVE = "active", _("active")
        QUARANTINED = "quarantined", _("stopped")
        REVOKED = "revoked", _("revoked")

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
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.NEW)

    sign_key = models.JSONField(null=True, blank=True, editable=False)
    sign_kid = models.CharField(max_length=16, null=True, blank=True, unique=True, editable=False)
    enc_key = models.JSONField(null=True, blank=True, editable=False)
    enc_kid = models.CharField(max_length=16, null=True, blank=True, editable=False)
    # Keys that were offered at (re-)enrollment and wait for the nonce that proves the second one.
    pending_sign_key = models.JSONField(null=True, blank=True, editable=False)
    pending_sign_kid = models.CharField(max_length=16, null=True, blank=True, unique=True, editable=False)
    pending_enc_key = models.JSONField(null=True, blank=True, editable=False)
    pending_nonce_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    pending_offline_key = EncryptedTextField(blank=True, default="", editable=False)
    offline_key = EncryptedTextField(blank=True, default="", editable=False)

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
    battery = models.PositiveSmallIntegerField(_("battery"), null=True, blank=True)
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


class Command(models.Model):
    """One instruction to one terminal: the row is the outbox and the only truth (design D1)."""

    class Kind(models.TextChoices):
        SET_CREDENTIAL = "set_credential", _("set a password")
        UNLOCK = "unlock", _("unlock")
        LOCK = "lock", _("lock")
        MESSAGE = "message", _("message")
        REBOOT = "reboot", _("restart")
        FACTORY_RESET = "factory_reset", _("factory reset")
        VOID = "void", _("withdrawal")

    class State(models.TextChoices):
        PENDING_APPROVAL = "pending_approval", _("waiting for approval")
        QUEUED = "queued", _("waiting for the terminal")
        FETCHED = "fetched", _("fetched by the terminal")
        CANCELLING = "cancelling", _("being withdrawn")
        APPLIED = "applied", _("applied")
        REJECTED = "rejected", _("refused by the terminal")
        CANCELLED = "cancelled", _("withdrawn")
        SUPERSEDED = "superseded", _("replaced by a newer one")
        EXPIRED = "expired", _("expired")

    id = models.CharField(primary_key=True, max_length=20, default=new_command_id, editable=False)
    terminal = models.ForeignKey(
        Terminal, on_delete=models.PROTECT, related_name="commands", verbose_name=_("terminal")
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    operator_number = models.CharField(_("operator"), max_length=2, blank=True, default="")
    args = models.JSONField(default=dict, blank=True)
    # Sealed to the terminal's key in the web process; erased as soon as the command is final.
    sealed = models.TextField(blank=True, default="", editable=False)
    sealed_kid = models.CharField(max_length=16, blank=True, default="", editable=False)
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.QUEUED, db_index=True, editable=False
    )
    reason = models.CharField(_("reason"), max_length=32, blank=True, default="", editable=False)
    requested_by = models.CharField(_("requested by"), max_length=64)
    approved_by = models.CharField(_("approved by"), max_length=64, blank=True, default="")
    recovery_ref = models.CharField(max_length=24, blank=True, default="", db_index=True)
    superseded_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    jkt = models.CharField(max_length=16, blank=True, default="", editable=False)
    seq = models.BigIntegerField(null=True, blank=True, editable=False)
    jti = models.CharField(max_length=20, null=True, blank=True, unique=True, editable=False)
    token = models.TextField(blank=True, default="", editable=False)
    token_digest = models.CharField(max_length=43, blank=True, default="", editable=False)
    attempt = models.PositiveSmallIntegerField(default=0, editable=False)

    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)
    claims = models.PositiveSmallIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True, editable=False)
    pushed_at = models.DateTimeField(_("pushed"), null=True, blank=True, editable=False)
    fetched_at = models.DateTimeField(_("fetched"), null=True, blank=True, editable=False)
    retry_at = models.DateTimeField(_("deferred until"), null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True, db_index=True, editable=False)
    applied_at = models.DateTimeField(_("applied"), null=True, blank=True, editable=False)
    signed_on_at = models.DateTimeField(_("first sign-on"), null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), db_index=True, editable=False)
    late = models.BooleanField(_("applied late"), default=False, editable=False)

    class Meta:
        verbose_name = _("command")
        verbose_name_plural = _("commands")
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["terminal", "state", "seq"], name="command_inbox"),
            models.Index(fields=["state", "pushed_at"], name="command_outbox"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(approved_by="") | ~Q(approved_by=F("requested_by")), name="command_four_eyes"
            ),
            models.UniqueConstraint(fields=["terminal", "jkt", "seq"], name="command_seq_once_per_key"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.operator_number} {self.state}"

    @property
    def is_choice(self) -> bool:
        """Whether the operator chooses at the terminal: `applied` then says that the screen is open."""
        return self.args.get("choose") is True


class CommandToken(models.Model):
    """Every token ever issued for a command: its id and hash, never its bytes. Receipts are matched here."""

    jti = models.CharField(primary_key=True, max_length=20)
    command = models.ForeignKey(Command, on_delete=models.CASCADE, related_name="tokens")
    jkt = models.CharField(max_length=16)
    seq = models.BigIntegerField()
    digest = models.CharField(max_length=43)
    issued_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("issued token")
        verbose_name_plural = _("issued tokens")
        constraints = [models.UniqueConstraint(fields=["command", "jkt", "seq"], name="token_seq_once")]

    def __str__(self) -> str:
        return self.jti


class CommandEvent(models.Model):
    """One move of one command, with who moved it: the timeline."""

    command = models.ForeignKey(Command, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(_("at"), default=timezone.now)
    from_state = models.CharField(_("from"), max_length=16, blank=True, default="")
    to_state = models.CharField(_("to"), max_length=16)
    actor = models.CharField(_("who"), max_length=64, blank=True, default="")
    facts = models.JSONField(_("facts"), default=dict, blank=True)

    class Meta:
        verbose_name = _("command event")
        verbose_name_plural = _("command events")
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"


class Receipt(models.Model):
    """A signed statement of a terminal about a token, and what we made of it."""

    jti = models.CharField(primary_key=True, max_length=20)
    terminal = models.ForeignKey(Terminal, on_delete=models.PROTECT, related_name="receipts")
    command = models.ForeignKey(Command, on_delete=models.CASCADE, related_name="receipts")
    digest = models.CharField(max_length=43)
    status = models.CharField(max_length=12)
    reason = models.CharField(max_length=32, blank=True, default="")
    at = models.DateTimeField()
    hwm = models.BigIntegerField()
    result = models.CharField(max_length=12)
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        ordering = ["received_at"]

    def __str__(self) -> str:
        return f"{self.status} {self.jti}"


class PairingCode(models.Model):
    """A short-lived code that lets one unit become one terminal record. Only its digest is kept."""

    terminal = models.ForeignKey(Terminal, on_delete=models.CASCADE, related_name="pairing_codes")
    selector = models.CharField(max_length=3, db_index=True)
    digest = models.CharField(max_length=64)
    digits_selector = models.CharField(max_length=3, db_index=True)
    digits_digest = models.CharField(max_length=64)
    failures = models.PositiveSmallIntegerField(default=0)
    created_by = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("pairing code")
        verbose_name_plural = _("pairing codes")

    def __str__(self) -> str:
        return f"{self.selector}… {self.terminal_id}"


class IssuerKey(models.Model):
    """The public half of a key that signs commands, and what it may sign."""

    kid = models.CharField(primary_key=True, max_length=16)
    jwk = models.JSONField()
    commands = models.JSONField(default=list)
    not_before = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("issuer key")
        verbose_name_plural = _("issuer keys")

    def __str__(self) -> str:
        return self.kid


class Keyset(models.Model):
    """A published, root-signed list of issuer keys. Never changed once it is out."""

    version = models.PositiveIntegerField(primary_key=True)
    token = models.TextField()
    root_thumbprint = models.CharField(max_length=43)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("keyset")
        verbose_name_plural = _("keysets")
        ordering = ["-version"]

    def __str__(self) -> str:
        return f"v{self.version}"
