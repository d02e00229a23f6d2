"""Addresses of sign-in, of the pages that never change, and of the provider's reports."""

from django.urls import path

from portal import views
from portal.people import urls as people

app_name = "portal"
urlpatterns = [
    path("sign-in", views.sign_in, name="sign_in"),
    path("sign-in/code", views.sign_in_code, name="sign_in_code"),
    path("sign-in/code/resend", views.sign_in_resend, name="sign_in_resend"),
    path("sign-out", views.sign_out, name="sign_out"),
    path("signed-out", views.signed_out, name="signed_out"),
    path("hotline", views.hotline, name="hotline"),
    path("privacy", views.privacy, name="privacy"),
    path("sms/callback/<str:callback_key>", views.sms_callback, name="sms_callback"),
    *people.urlpatterns,
]
