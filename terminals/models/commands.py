"""Commands sent to terminals, the tokens they travelled in, and the receipts that came back."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from terminals.models.registry import Terminal
from terminals.protocol import new_id

UNFINISHED = Q(finished_at__isnull=True)


def new_command_id() -> str:
    """`cmd_` and 16 random base64url characters."""
    return new_id("cmd")


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
        Terminal,
        on_delete=models.PROTECT,
        related_name="commands",
        verbose_name=_("terminal"),
        # `command_seq_once_per_key` begins with it.
        db_index=False,
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    operator_number = models.CharField(_("operator"), max_length=2, blank=True, default="")
    args = models.JSONField(default=dict, blank=True)
    # What must hold before a guarded command is carried out, as the terminal is to check it (protocol §10).
    guard = models.JSONField(default=dict, blank=True)
    # Sealed to the terminal's key in the web process; erased as soon as the command is final.
    sealed = models.TextField(blank=True, default="", editable=False)
    sealed_kid = models.CharField(max_length=16, blank=True, default="", editable=False)
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.QUEUED, editable=False
    )
    reason = models.CharField(_("reason"), max_length=32, blank=True, default="", editable=False)
    requested_by = models.CharField(_("requested by"), max_length=64)
    approved_by = models.CharField(_("approved by"), max_length=64, blank=True, default="")
    recovery_ref = models.CharField(max_length=24, blank=True, default="")
    superseded_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
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
    defers = models.PositiveSmallIntegerField(default=0, editable=False)
    retry_at = models.DateTimeField(_("deferred until"), null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True, editable=False)
    applied_at = models.DateTimeField(_("applied"), null=True, blank=True, editable=False)
    signed_on_at = models.DateTimeField(_("first sign-on"), null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), editable=False)
    late = models.BooleanField(_("applied late"), default=False, editable=False)

    class Meta:
        verbose_name = _("command")
        verbose_name_plural = _("commands")
        ordering = ["-created_at"]
        # What is open is a few rows among very many, so its indexes hold nothing else. Each has a condition
        # that only the statements it is for repeat, and none speaks of `state`, which nearly all do: a
        # database that last counted its rows when nothing was open takes any of them for the way to one row,
        # and reads all that is open.
        indexes = [
            models.Index(fields=["terminal", "seq"], name="command_open", condition=UNFINISHED),
            models.Index(
                fields=["expires_at"], name="command_due", condition=UNFINISHED & Q(applied_at__isnull=True)
            ),
            models.Index(
                fields=["created_at"],
                name="command_unpushed",
                condition=UNFINISHED & Q(pushed_at__isnull=True),
            ),
            models.Index(
                fields=["created_at"],
                name="command_pushed",
                condition=UNFINISHED & Q(pushed_at__isnull=False),
            ),
            models.Index(fields=["retry_at"], name="command_deferred", condition=Q(retry_at__isnull=False)),
            models.Index(
                fields=["finished_at"], name="command_finished", condition=Q(finished_at__isnull=False)
            ),
            models.Index(
                fields=["superseded_by"], name="command_superseded", condition=Q(superseded_by__isnull=False)
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(approved_by="") | ~Q(approved_by=F("requested_by")), name="command_four_eyes"
            ),
            models.UniqueConstraint(fields=["terminal", "jkt", "seq"], name="command_seq_once_per_key"),
            models.CheckConstraint(
                condition=~Q(kind="factory_reset")
                | ~Q(state__in=["queued", "fetched", "cancelling", "applied", "rejected"])
                | ~Q(approved_by=""),
                name="command_guarded_needs_approval",
            ),
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
        # `jkt` names one key of one terminal, so a number is given out once under a key, whatever for.
        constraints = [models.UniqueConstraint(fields=["jkt", "seq"], name="token_seq_once_per_key")]

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
