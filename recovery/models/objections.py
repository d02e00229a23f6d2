"""Reports of "this wasn't me"."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.fields import EncryptedTextField
from portal.models import Address, new_public_id
from portal.secrets import mask_email, mask_phone
from recovery.models.recoveries import Recovery


class Objection(models.Model):
    """Somebody says that what a notice told of was not them: first the code, then everything is stopped.

    Until the worker has looked, `merchant` is empty for everybody; for strangers it stays empty, and what
    they see is the same (design D8).
    """

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    number = models.CharField(_("number"), max_length=9, editable=False)
    kind = models.CharField(max_length=8, choices=Address.Kind.choices, editable=False)
    to = EncryptedTextField(editable=False)
    locale = models.CharField(max_length=10, default="zh-hans", editable=False)
    address_block = models.CharField(max_length=64, blank=True, default="", editable=False)
    challenge = models.OneToOneField(
        "portal.Challenge", on_delete=models.PROTECT, related_name="+", editable=False
    )
    merchant = models.ForeignKey(
        "portal.Merchant", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    # What the number names: a recovery, or a change of an address.
    recovery = models.ForeignKey(
        Recovery, null=True, blank=True, on_delete=models.PROTECT, related_name="objections"
    )
    change = models.ForeignKey(
        "portal.AddressChange", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True, editable=False)
    resolved_at = models.DateTimeField(null=True, blank=True, editable=False)
    proved_at = models.DateTimeField(_("proved"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("objection")
        verbose_name_plural = _("objections")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.number

    @property
    def masked(self) -> str:
        """Where the code goes, as it was typed, with its middle hidden."""
        return mask_email(self.to) if self.kind == Address.Kind.EMAIL else mask_phone(self.to)
