"""The portal app and the admin site that insists on a second factor."""

from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _

from portal import (
    checks,  # noqa: F401 - registers them
    rights,
    roles,
)


class PortalConfig(AppConfig):
    """Merchant accounts and the common ground."""

    name = "portal"
    verbose_name = _("Merchants and people")

    def import_models(self) -> None:
        """Load the devices too: rows whose verbs need the challenges, which stand above the other models."""
        super().import_models()
        import_module("portal.devices")

    def ready(self) -> None:
        """Keep the rights of the roles."""
        roles.keep(self, rights.RIGHTS)


class RekeyAdminConfig(AdminConfig):
    """Django's admin with our site class."""

    default_site = "portal.admin_site.RekeyAdminSite"
