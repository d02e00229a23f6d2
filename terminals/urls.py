"""Addresses of an owner's own pages, and of the contact directory, which is everybody's."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from terminals import directory_views, views


class TerminalId(StringConverter):
    """`trm_…`: nothing else reaches a view, so no view meets bytes that a database refuses."""

    regex = "trm_[A-Za-z0-9_-]{16}"


register_converter(TerminalId, "terminal_id")

app_name = "terminals"
urlpatterns = [
    path("home", views.home, name="home"),
    path("resets", views.reset_history, name="reset_history"),
    path("terminals/new", views.terminal_new, name="terminal_new"),
    path("terminals/<terminal_id:pk>", views.terminal, name="terminal"),
    path("terminals/<terminal_id:pk>/edit", views.terminal_edit, name="terminal_edit"),
    path("terminals/<terminal_id:pk>/stop", views.terminal_stop, name="terminal_stop"),
    path("terminals/<terminal_id:pk>/replace", views.terminal_swap, name="terminal_swap"),
    path("terminals/<terminal_id:pk>/pair", views.pair, name="pair"),
    path("terminals/<terminal_id:pk>/pair/new", views.pair_new, name="pair_new"),
    path("terminals/<terminal_id:pk>/pair/revoke", views.pair_revoke, name="pair_revoke"),
    path("directory", directory_views.directory, name="directory"),
    path("directory/number", directory_views.number, name="directory_number"),
    path("directory/<int:pk>/sticker", directory_views.sticker, name="directory_sticker"),
]
