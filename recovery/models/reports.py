"""The reports have no rows of their own: this is what the admin lists and what a permission is about."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from recovery.models.recoveries import Recovery


class Report(Recovery):
    """Figures about recoveries, texts and cases, counted from their rows whenever somebody asks."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = _("report")
        verbose_name_plural = _("reports")
