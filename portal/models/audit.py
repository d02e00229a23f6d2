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
