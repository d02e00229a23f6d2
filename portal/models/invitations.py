"""Invitations: how somebody of a shop comes to an account of their own."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal.models.merchants import Merchant, new_public_id


class Invitation(models.Model):
    """One code that lets somebody make one account of one shop, together with a code to its registered phone.

    It is kept as a keyed digest; a shop has one that is alive, so a new one ends the one before.
    """

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    merchant = models.ForeignKey(
        Merchant, on_delete=models.PROTECT, related_name="invitations", verbose_name=_("merchant")
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.CharField(_("invited by"), max_length=64, editable=False)
    created_at = models.DateTimeField(_("invited"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("good until"), editable=False)
    used_at = models.DateTimeField(_("taken up"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("withdrawn"), null=True, blank=True, editable=False)
    account = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("account"),
        editable=False,
    )

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.merchant} {self.created_at:%F}"

    @property
    def state(self) -> str | Promise:
        """Used, withdrawn, over, or open, as the support desk reads it."""
        if self.used_at:
            return _("account opened")
        if self.revoked_at:
            return _("withdrawn")
        return _("over") if self.expires_at <= timezone.now() else _("waiting")
