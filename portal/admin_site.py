"""The admin site: staff only, and only after a second factor."""

from django.utils.translation import gettext_lazy as _
from django_otp.admin import OTPAdminSite


class RekeyAdminSite(OTPAdminSite):
    """Django's admin behind password and second factor."""

    site_header = _("Rekey support desk")
    site_title = _("Rekey support desk")
    index_title = _("What needs you")
    enable_nav_sidebar = True

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
