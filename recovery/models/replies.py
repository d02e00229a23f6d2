"""Answers that support has ready."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class CannedReply(models.Model):
    """An answer prepared in both languages; words in braces stand for what is known of the ticket."""

    name = models.CharField(_("name"), max_length=60, unique=True)
    text_zh = models.TextField(_("text in Chinese"), max_length=2000)
    text_en = models.TextField(_("text in English"), max_length=2000)
    active = models.BooleanField(_("offered"), default=True)

    class Meta:
        verbose_name = _("prepared answer")
        verbose_name_plural = _("prepared answers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
