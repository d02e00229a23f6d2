"""The terminals app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from terminals import checks  # noqa: F401 - registers them


class TerminalsConfig(AppConfig):
    """Registered terminals and what is sent to them."""

    name = "terminals"
    verbose_name = _("Terminals")
