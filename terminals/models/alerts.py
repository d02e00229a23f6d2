"""What a person should look at: something a terminal reported, or did, that should not be."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from terminals.models.commands import Command
from terminals.models.registry import Terminal


class TerminalAlert(models.Model):
    """One matter of one terminal; open until a person clears it with a reason, counted when it recurs."""

    class Kind(models.TextChoices):
        SEQ_REPLAYED = "seq_replayed", _("the terminal is ahead of us: was the server restored?")
        RECEIPT_CONFLICT = "receipt_conflict", _("two receipts contradict each other")
        UNKNOWN_RECEIPT = "unknown_receipt", _("a receipt for something never sent")
        HWM_AHEAD = "hwm_ahead", _("the terminal has seen numbers never given out")
        TAMPER = "tamper", _("the terminal was opened by force")
        PARKED = "parked", _("a command cannot be delivered")
        UNASKED_UNLOCK = "unasked_unlock", _("unlocked offline without an answer from here")
        SERIAL_DIFFERS = "serial_differs", _("another serial number than on record")
        UNSUPPORTED_FIRMWARE = "unsupported_firmware", _("firmware is not supported")
        WEAK_PASSWORD = "weak_password", _("an operator has a weak password")
        OPERATORS_DIFFER = "operators_differ", _("operators differ from the list here")
        KEY_REVOKED = "key_revoked", _("signed by a key that was revoked")

    terminal = models.ForeignKey(
        Terminal, on_delete=models.CASCADE, related_name="alerts", verbose_name=_("terminal")
    )
    command = models.ForeignKey(
        Command, null=True, blank=True, on_delete=models.SET_NULL, related_name="alerts"
    )
    kind = models.CharField(_("what"), max_length=24, choices=Kind.choices)
    # What it is about within its kind: a command, an operator; part of what makes it one matter.
    subject = models.CharField(max_length=64, blank=True, default="")
    facts = models.JSONField(_("facts"), default=dict, blank=True)
    count = models.PositiveIntegerField(_("how often"), default=1)
    raised_at = models.DateTimeField(_("first seen"), default=timezone.now, db_index=True)
    last_at = models.DateTimeField(_("last seen"), default=timezone.now)
    cleared_at = models.DateTimeField(_("cleared"), null=True, blank=True)
    cleared_by = models.CharField(_("cleared by"), max_length=64, blank=True, default="")
    cleared_reason = models.CharField(_("reason"), max_length=200, blank=True, default="")

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ["-raised_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["terminal", "kind", "subject"],
                condition=Q(cleared_at__isnull=True),
                name="one_open_alert_per_matter",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.terminal_id}"
