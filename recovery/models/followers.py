"""People who read a ticket without signing in."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.fields import EncryptedTextField
from portal.models import new_public_id
from portal.secrets import mask_phone
from recovery.models.tickets import Ticket


class TicketFollower(models.Model):
    """Somebody names a ticket and the phone on it: a code to that phone first, then they read and answer.

    Until the worker has looked, `ticket` is empty for everybody; for strangers it stays empty, and what they
    see is the same (design D8).
    """

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    number = models.CharField(_("ticket number"), max_length=9, editable=False)
    phone = EncryptedTextField(editable=False)
    locale = models.CharField(max_length=10, default="zh-hans", editable=False)
    address_block = models.CharField(max_length=64, blank=True, default="", editable=False)
    challenge = models.OneToOneField(
        "portal.Challenge", on_delete=models.PROTECT, related_name="+", editable=False
    )
    ticket = models.ForeignKey(
        Ticket, null=True, blank=True, on_delete=models.CASCADE, related_name="followers"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True, editable=False)
    resolved_at = models.DateTimeField(null=True, blank=True, editable=False)
    proved_at = models.DateTimeField(_("proved"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("follower of a ticket")
        verbose_name_plural = _("followers of tickets")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.number

    @property
    def masked(self) -> str:
        """Where the code goes, as it was typed, with its middle hidden."""
        return mask_phone(self.phone)
