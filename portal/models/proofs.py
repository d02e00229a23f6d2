"""What people can prove themselves with besides the registered phone, and changes of it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.models.merchants import Merchant


class RecoveryCode(models.Model):
    """One of the ten codes of a sheet of paper: single use, kept as a keyed digest.

    A sheet is dead as soon as a newer one is made; its rows then have `revoked_at`.
    """

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="recovery_codes")
    sheet = models.CharField(_("sheet"), max_length=7, db_index=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.CharField(_("made by"), max_length=64)
    created_at = models.DateTimeField(_("made"), default=timezone.now)
    used_at = models.DateTimeField(_("used"), null=True, blank=True)
    used_for = models.CharField(_("used for"), max_length=64, blank=True, default="")
    revoked_at = models.DateTimeField(_("no longer valid since"), null=True, blank=True)

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")
        ordering = ["-created_at", "pk"]

    def __str__(self) -> str:
        return f"{self.sheet} {self.pk}"
