"""Addresses of the doors for those who cannot sign in; they belong to the portal's names."""

from django.urls import path

from portal.entry import factor_views, join_views, password_views, proof_views
from portal.entry.rules import Target

JOIN, PASSWORD, FACTOR = ({"target": target} for target in Target)
urlpatterns = [
    path("join", join_views.join, name="join"),
    path("join/code", proof_views.code, JOIN, name="join_code"),
    path("join/code/resend", proof_views.resend, JOIN, name="join_resend"),
    path("join/account", join_views.account, JOIN, name="join_account"),
    path("forgotten-password", password_views.forgotten, name="password_forgotten"),
    path("forgotten-password/factor", password_views.factor, PASSWORD, name="password_factor"),
    path("forgotten-password/passkey", password_views.passkey, PASSWORD, name="password_passkey"),
    path(
        "forgotten-password/passkey/options",
        password_views.passkey_options,
        PASSWORD,
        name="password_passkey_options",
    ),
    path("forgotten-password/prove", proof_views.prove, PASSWORD, name="password_prove"),
    path("forgotten-password/code", proof_views.code, PASSWORD, name="password_code"),
    path("forgotten-password/code/resend", proof_views.resend, PASSWORD, name="password_resend"),
    path("forgotten-password/paper", proof_views.paper, PASSWORD, name="password_paper"),
    path("forgotten-password/new", password_views.new, PASSWORD, name="password_new"),
    path("forgotten-password/done", password_views.done, name="password_done"),
    path("lost-device", factor_views.lost, name="factor_lost"),
    path("lost-device/prove", proof_views.prove, FACTOR, name="factor_prove"),
    path("lost-device/code", proof_views.code, FACTOR, name="factor_code"),
    path("lost-device/code/resend", proof_views.resend, FACTOR, name="factor_resend"),
    path("lost-device/paper", proof_views.paper, FACTOR, name="factor_paper"),
    path("lost-device/remove", factor_views.remove, FACTOR, name="factor_remove"),
    path("lost-device/done", factor_views.done, name="factor_done"),
]
