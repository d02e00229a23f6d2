"""What somebody asks for standing at the terminal: a recovery, or an unlock without a network."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from terminals.models.commands import Command
from terminals.models.registry import Terminal
from terminals.protocol import new_id


def new_request_id() -> str:
    """`rec_` and 16 random base64url characters."""
    return new_id("rec")


class RecoveryRequest(models.Model):
    """A recovery started at a terminal (protocol §8). Proved, it says that somebody stands before it."""

    class State(models.TextChoices):
        PENDING = "pending", _("waiting for a phone")
        BOUND = "bound", _("opened on a phone")
        PROVED = "proved", _("match number confirmed")
        DENIED = "denied", _("refused")
        DONE = "done", _("done")
        EXPIRED = "expired", _("expired")

    id = models.CharField(primary_key=True, max_length=20, default=new_request_id, editable=False)
    terminal = models.ForeignKey(
        Terminal, on_delete=models.CASCADE, related_name="recovery_requests", verbose_name=_("terminal")
    )
    operator_number = models.CharField(_("operator"), max_length=2)
    # Keyed digests: whoever reads the row learns neither the code nor the number on the screen.
    user_code_digest = models.CharField(max_length=64, unique=True, editable=False)
    match_digest = models.CharField(max_length=64, editable=False)
    tries = models.PositiveSmallIntegerField(default=0, editable=False)
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.PENDING)
    command = models.ForeignKey(
        Command, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    proved_at = models.DateTimeField(_("proved"), null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(db_index=True, editable=False)

    class Meta:
        verbose_name = _("recovery started at a terminal")
        verbose_name_plural = _("recoveries started at terminals")
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["terminal", "created_at"], name="requests_of_terminal")]

    def __str__(self) -> str:
        return f"{self.terminal_id} {self.operator_number} {self.state}"


class OfflineUnlock(models.Model):
    """One challenge of a terminal without network that was answered, or that it says was (protocol §9)."""

    terminal = models.ForeignKey(
        Terminal, on_delete=models.CASCADE, related_name="offline_unlocks", verbose_name=_("terminal")
    )
    operator_number = models.CharField(_("operator"), max_length=2, blank=True, default="")
    counter = models.BigIntegerField()
    question_digest = models.CharField(max_length=43, editable=False)
    key_kid = models.CharField(max_length=16, editable=False)
    requested_by = models.CharField(_("requested by"), max_length=64, blank=True, default="")
    recovery_ref = models.CharField(max_length=24, blank=True, default="", db_index=True)
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)
    receipt_at = models.DateTimeField(_("used at the terminal"), null=True, blank=True)

    class Meta:
        verbose_name = _("offline unlock")
        verbose_name_plural = _("offline unlocks")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["terminal", "key_kid", "counter"], name="offline_challenge_once_per_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.terminal_id} {self.counter}"
