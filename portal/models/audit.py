"""The audit trail."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.models.merchants import Merchant


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


class AuditLink(models.Model):
    """A link of the chain over events: its digest covers its event and the link before it."""

    seq = models.BigIntegerField(primary_key=True)
    # Without a constraint: the check has to find deleted events, not the database to hide them.
    event = models.OneToOneField(
        AuditEvent, on_delete=models.DO_NOTHING, db_constraint=False, related_name="link"
    )
    digest = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.seq} {self.digest[:12]}"


class AuditHead(models.Model):
    """A link that was the newest one, signed by a key outside the database."""

    seq = models.BigIntegerField(primary_key=True)
    digest = models.CharField(max_length=64)
    signed_at = models.CharField(max_length=40)
    key = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)

    def __str__(self) -> str:
        return f"{self.seq} {self.signed_at}"
