"""The admin site: staff only, and only after a second factor asked for on a page of its own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from django_otp.admin import OTPAdminSite

from portal.accounts import STAFF
from portal.views import code_page, confirm_page, password_page, resend_page


def change_address(row: Model) -> str:
    """The admin page of a row. Some of our ids hold what the admin reads as an escape, so they are quoted."""
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=(quote(row.pk),))


def confirm_address(then: str) -> str:
    """The page on which staff prove once more that it is they, and where they go on to."""
    return f"{reverse('admin:confirm')}?{urlencode({'next': then})}"


class RekeyAdminSite(OTPAdminSite):
    """Django's admin behind the staff door.

    Django-otp's own admin login asks for everything on one page and prints the password back between the two
    answers; ours is the same pair of pages that owners use.
    """

    site_header = _("Rekey support desk")
    site_title = _("Rekey support desk")
    index_title = _("What needs you")
    enable_nav_sidebar = True

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Page two of signing in, beside the stock addresses."""
        pages: list[URLPattern | URLResolver] = [
            path("login/code/", self.login_code, name="login_code"),
            path("login/code/resend/", require_POST(self.resend_code), name="resend_code"),
        ]
        pages.append(path("confirm/", self.admin_view(self.confirm), name="confirm"))
        return pages + list(super().get_urls())

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Page one."""
        if request.method == "GET" and self.has_permission(request):
            return redirect(STAFF.home)
        return password_page(request, STAFF, "admin/login.html", self._frame(request, _("Log in")))

    def login_code(self, request: HttpRequest) -> HttpResponse:
        """Page two."""
        facts = {"resend_url": reverse("admin:resend_code"), "cancel_url": reverse("admin:login")}
        return code_page(
            request, STAFF, "admin/login_code.html", self._frame(request, _("Second step")) | facts
        )

    def resend_code(self, request: HttpRequest) -> HttpResponse:
        """The text again."""
        return resend_page(request, STAFF)

    def confirm(self, request: HttpRequest) -> HttpResponse:
        """A fresh second factor before what changes a proof: a code of the app, or the sign-in again."""
        return confirm_page(request, STAFF, "admin/confirm.html", self._frame(request, _("Is it still you?")))

    def _frame(self, request: HttpRequest, title: Any) -> dict[str, Any]:
        return {**self.each_context(request), "title": title, "subtitle": None}
