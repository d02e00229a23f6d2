"""Addresses of the owner's pages about proofs; they belong to the portal's names."""

from django.urls import path

from portal.people import paper_views, views

urlpatterns = [
    path("proofs", views.proofs, name="proofs"),
    path("proofs/paper", paper_views.paper, name="paper"),
]
