"""A proof is worth something only as long as what it proved holds."""

from __future__ import annotations

import pytest
from django.test import override_settings

from portal.models import Allowance, Merchant
from recovery import flow
from recovery.authority import NotAllowed, target_of
from recovery.models import Recovery
from tests.cast import PairedTill, make_owner
from tests.recovery.visitor import Visitor, make_shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


@pytest.fixture
def proved(till: PairedTill) -> Visitor:
    visitor = Visitor()
    visitor.prove()
    visitor.choose()
    return visitor


def test_a_phone_that_was_replaced_proves_nothing_any_more(proved: Visitor) -> None:
    merchant = Merchant.objects.get()
    merchant.phone = "+8613800009999"
    merchant.save()
    with pytest.raises(NotAllowed):
        flow.set_password(proved.recovery, "258147")


def test_an_owner_whose_account_was_stopped_can_set_nothing(proved: Visitor) -> None:
    owner = make_owner(Merchant.objects.get())
    Recovery.objects.update(signed_in_user=owner)
    owner.is_active = False
    owner.save()
    with pytest.raises(NotAllowed):
        flow.set_password(proved.recovery, "258147")


@pytest.mark.parametrize(
    ("number", "target"),
    [("00", "supervisor"), ("99", "maintenance"), ("01", "operator"), ("98", "operator"), ("0", "operator")],
)
def test_two_numbers_stand_for_more_than_an_operator(number: str, target: str) -> None:
    assert target_of(number) == target


@override_settings(REKEY_LIMITS={"sms-per-address": "2/hour"})
def test_strangers_spend_the_share_of_their_address_like_everybody(till: PairedTill) -> None:
    stranger = Visitor()
    stranger.identify(phone="13800007777")
    stranger.worker()
    assert Allowance.objects.get(limit="sms-per-address").taken == 1
