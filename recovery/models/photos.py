"""Photos on tickets."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.fields import EncryptedTextField
from portal.models import new_public_id
from recovery.models.tickets import TicketEntry


class Photo(models.Model):
    """A picture that came with an entry, drawn anew as JPEG and sealed; it is forgotten after a while.

    `sealed` is base64, and empty once the photo is forgotten.
    """

    id = models.CharField(primary_key=True, max_length=24, default=new_public_id, editable=False)
    entry = models.OneToOneField(TicketEntry, on_delete=models.CASCADE, related_name="photo")
    width = models.PositiveIntegerField(editable=False)
    height = models.PositiveIntegerField(editable=False)
    sealed = EncryptedTextField(editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    # When it is to be forgotten; null once it is.
    expires_at = models.DateTimeField(null=True, db_index=True, editable=False)

    class Meta:
        verbose_name = _("photo")
        verbose_name_plural = _("photos")
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"{self.width}×{self.height}"
