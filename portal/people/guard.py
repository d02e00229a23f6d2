"""Who is in front of an owner's page."""

from __future__ import annotations

from django.http import HttpRequest

from portal.models import Merchant, User


def owner_of(request: HttpRequest) -> User:
    """The owner who is signed in; the guards have seen to it."""
    assert isinstance(request.user, User)
    return request.user


def merchant_of(request: HttpRequest) -> Merchant:
    """The owner's shop."""
    merchant = owner_of(request).merchant
    assert merchant is not None
    return merchant


def actor_of(request: HttpRequest) -> str:
    """The owner as the audit trail names people."""
    return f"user:{request.user.pk}"
