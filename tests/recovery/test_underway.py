"""Whoever recovers keeps the phone they began with: changes wait, or are cancelled before they are proved."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from portal import changes
from portal.changes import Refused, Wanted, What
from portal.codes import derive_code
from portal.models import AddressChange, Merchant, User
from portal.secrets import pepper
from tests.cast import make_owner
from tests.recovery.visitor import Visitor, make_shop

pytestmark = pytest.mark.django_db
NEW = "+8613900003057"


@pytest.fixture
def owner() -> User:
    make_shop()
    return make_owner()


def ask(owner: User) -> AddressChange:
    return changes.ask(Wanted(Merchant.objects.get(), What.REGISTERED, NEW, owner, "192.0.2.0/24"))


def prove(change: AddressChange) -> bool:
    assert change.challenge is not None
    code = derive_code(pepper(), change.challenge.seed, change.challenge.purpose)
    return changes.prove(change, code).ok


def begin() -> Visitor:
    visitor = Visitor(Client())
    visitor.identify()
    visitor.worker()
    return visitor


def test_a_recovery_that_begins_cancels_the_change(owner: User) -> None:
    change = ask(owner)
    begin()
    assert not prove(change)
    change.refresh_from_db()
    assert change.state == AddressChange.State.CANCELLED
    assert Merchant.objects.get().phone != NEW


def test_no_change_begins_during_a_recovery(owner: User) -> None:
    visitor = begin()
    with pytest.raises(Refused, match="recovery"):
        ask(owner)
    visitor.post("code", code=visitor.code)
    with pytest.raises(Refused, match="recovery"):
        ask(owner)


def test_one_that_nobody_proves_stands_in_the_way_for_ten_minutes(owner: User) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        begin()
        clock.shift(timedelta(minutes=10, seconds=1))
        assert prove(ask(owner))


def test_a_stranger_stands_in_nobodys_way(owner: User) -> None:
    visitor = Visitor(Client())
    visitor.identify(phone="13800002099")
    visitor.worker()
    assert prove(ask(owner))


def test_the_code_of_a_recovery_confirms_no_phone(owner: User) -> None:
    """Whoever was handed a recycled number would confirm it by resetting a cashier."""
    visitor = begin()
    visitor.post("code", code=visitor.code)
    assert Merchant.objects.get().phone_confirmed_at is None
