"""The recovery app."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RecoveryConfig(AppConfig):
    """Forgotten operator passwords, and tickets."""

    name = "recovery"
    verbose_name = _("Recovery and support")

    def ready(self) -> None:
        """Listen for commands that end, for alerts, and for changes of addresses."""
        import_module("recovery.closing")
        import_module("recovery.alarms")
        import_module("recovery.underway")
        import_module("recovery.vetoes")
