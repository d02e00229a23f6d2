"""The recovery app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RecoveryConfig(AppConfig):
    """Forgotten operator passwords, and tickets."""

    name = "recovery"
    verbose_name = _("Recovery and support")
