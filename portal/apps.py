"""The portal app and the admin site that insists on a second factor."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _


class PortalConfig(AppConfig):
    """Merchant accounts and the common ground."""

    name = "portal"
    verbose_name = _("Merchants and people")


class RekeyAdminConfig(AdminConfig):
    """Django's admin with our site class."""

    default_site = "portal.admin_site.RekeyAdminSite"
