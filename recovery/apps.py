"""The recovery app."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from portal import roles
from recovery import rights


class RecoveryConfig(AppConfig):
    """Forgotten operator passwords, and tickets."""

    name = "recovery"
    verbose_name = _("Recovery and support")

    def ready(self) -> None:
        """Keep the rights of the roles, listen for what happens elsewhere, offer the reports as metrics."""
        roles.keep(self, rights.RIGHTS)
        import_module("recovery.checks")
        import_module("recovery.closing")
        import_module("recovery.desk.reports.metrics")
        import_module("recovery.alarms")
        import_module("recovery.underway")
        import_module("recovery.vetoes")
