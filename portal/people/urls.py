"""Addresses of the owner's pages about proofs; they belong to the portal's names."""

from django.urls import path

from portal.people import address_views, paper_views, veto_views, views

urlpatterns = [
    path("veto", veto_views.veto, name="veto"),
    path("proofs", views.proofs, name="proofs"),
    path("proofs/paper", paper_views.paper, name="paper"),
    path("proofs/new", address_views.new, name="address_new"),
    path("proofs/code", address_views.code, name="address_code"),
    path("proofs/code/resend", address_views.resend, name="address_resend"),
    path("proofs/phone", address_views.change_phone, name="phone_change"),
    path("proofs/phone/confirm", address_views.confirm, name="phone_confirm"),
    path("proofs/undo/<slug:number>", address_views.undo, name="address_undo"),
    path("proofs/at/<slug:pk>", address_views.change, name="address_change"),
    path("proofs/at/<slug:pk>/confirm", address_views.confirm, name="address_confirm"),
    path("proofs/at/<slug:pk>/remove", address_views.remove, name="address_remove"),
]
