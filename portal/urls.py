"""Which address leads to which room. The rooms above are named as strings only."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.utils.module_loading import import_string

from portal import health, metrics, views

handler400 = "portal.views.bad_request"
handler403 = "portal.views.forbidden"
handler404 = "portal.views.not_found"
handler500 = "portal.views.server_error"

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("lang/<str:code>", views.set_language_link, name="set_language"),
    path("terminal/v1/", import_string(settings.TERMINAL_API).urls),
    path("admin/", admin.site.urls),
    path("", include("portal.account_urls")),
    path("", include("terminals.urls")),
    path("", include("recovery.urls")),
]
