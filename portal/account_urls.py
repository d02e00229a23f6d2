"""Addresses of sign-in, of the pages that never change, and of the provider's reports."""

from django.urls import path

from portal import account_views, passkey_views, report_views, views
from portal.entry import urls as entry
from portal.people import urls as people

app_name = "portal"
urlpatterns = [
    path("sign-in", views.sign_in, name="sign_in"),
    path("sign-in/code", views.sign_in_code, name="sign_in_code"),
    path("sign-in/code/resend", views.sign_in_resend, name="sign_in_resend"),
    path("sign-in/passkey", passkey_views.sign_in, name="sign_in_passkey"),
    path("sign-in/passkey/options", passkey_views.sign_in_options, name="sign_in_passkey_options"),
    path("account", account_views.account, name="account"),
    path("account/sessions/end", account_views.sessions_end, name="sessions_end"),
    path("account/sessions/<slug:row>/end", account_views.sessions_end, name="session_end"),
    path("account/browsers/<int:pk>/forget", account_views.browser_forget, name="browser_forget"),
    path("account/secure", account_views.secure, name="secure"),
    path("account/confirm", account_views.confirm, name="confirm"),
    path("account/confirm/passkey", passkey_views.confirm, name="confirm_passkey"),
    path("account/confirm/passkey/options", passkey_views.confirm_options, name="confirm_passkey_options"),
    path("account/app/new", account_views.app_new, name="app_new"),
    path("account/app/remove", account_views.app_remove, name="app_remove"),
    path("account/passkeys/new", passkey_views.new, name="passkey_new"),
    path("account/passkeys/new/options", passkey_views.new_options, name="passkey_new_options"),
    path("account/passkeys/<int:pk>/edit", passkey_views.rename, name="passkey_edit"),
    path("account/passkeys/<int:pk>/remove", passkey_views.remove, name="passkey_remove"),
    path("sign-out", views.sign_out, name="sign_out"),
    path("signed-out", views.signed_out, name="signed_out"),
    path("hotline", views.hotline, name="hotline"),
    path("privacy", views.privacy, name="privacy"),
    path("sms/callback/<str:callback_key>", views.sms_callback, name="sms_callback"),
    path("sms/reports/aliyun", report_views.aliyun_reports, name="aliyun_reports"),
    *people.urlpatterns,
    *entry.urlpatterns,
]
