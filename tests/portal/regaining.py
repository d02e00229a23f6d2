"""The steps of getting a password or a second factor back, as a test takes them, and whose they are."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.utils import timezone

from portal import recovery_codes
from portal.addresses import digest_of
from portal.devices import TOTPDevice
from portal.models import Address, Merchant, User
from tests.cast import PASSWORD, make_merchant, make_owner
from tests.portal.signing_in import texted
from tests.portal.test_devices import code_now

NEW = "lamp-sofa-river"
FORGOTTEN, LOST = "/forgotten-password", "/lost-device"
COUNTED = "entry code sign-in password-per-account password-per-account-and-address second-factor-per-account"
WIDE = dict.fromkeys(COUNTED.split(), "10000/hour")


def make_confirmed_owner() -> User:
    """The owner, whose shop's phone was confirmed a moment ago."""
    return make_owner(make_merchant(phone_confirmed_at=timezone.now()))


def make_card(owner: User) -> list[str]:
    """Ten codes on paper."""
    assert owner.merchant is not None
    return recovery_codes.make(owner.merchant, f"user:{owner.pk}")


def app_of(owner: User) -> TOTPDevice:
    return TOTPDevice.objects.get(user=owner, confirmed=True)


def give_name(client: Client, username: str = "owner") -> Any:
    return client.post(FORGOTTEN, {"username": username})


def show_app(client: Client, owner: User) -> Any:
    give_name(client)
    return client.post(f"{FORGOTTEN}/factor", {"code": code_now(app_of(owner))})


def by_text(client: Client, door: str) -> Any:
    assert client.post(f"{door}/prove", {"way": "text"}).headers["Location"] == f"{door}/code"
    return client.post(f"{door}/code", {"code": texted()})


def by_paper(client: Client, door: str, code: str) -> Any:
    assert client.post(f"{door}/prove", {"way": "paper"}).headers["Location"] == f"{door}/paper"
    return client.post(f"{door}/paper", {"code": code})


def set_new(client: Client, password: str = NEW) -> Any:
    return client.post(f"{FORGOTTEN}/new", {"new_password": password, "again": password})


def say_password(client: Client, password: str = PASSWORD) -> Any:
    return client.post(LOST, {"username": "owner", "password": password})


def named(merchant: Merchant | None, kind: str, value: str, holder: str, **facts: Any) -> Address:
    row = {"merchant": merchant, "kind": kind, "value": value, "holder": holder, "digest": digest_of(value)}
    return Address.objects.create(**row, **facts)


def is_password(password: str) -> bool:
    return User.objects.get(username="owner").check_password(password)
