"""The terminals app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from portal import roles
from terminals import (
    checks,  # noqa: F401 - registers them
    rights,
)


class TerminalsConfig(AppConfig):
    """Registered terminals and what is sent to them."""

    name = "terminals"
    verbose_name = _("Terminals")

    def ready(self) -> None:
        """Keep the rights of the roles."""
        roles.keep(self, rights.RIGHTS)
