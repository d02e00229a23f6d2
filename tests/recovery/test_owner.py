"""An owner who is signed in skips the first page, and nothing else."""

from __future__ import annotations

import pytest
from django.urls import reverse

from recovery.models import Recovery
from terminals.models import Command
from tests.cast import PairedTill, make_merchant, make_other_merchant, make_owner, make_terminal, signed_in
from tests.recovery.visitor import Visitor, make_shop, texts_to

pytestmark = pytest.mark.django_db


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


@pytest.fixture
def owner(till: PairedTill) -> Visitor:
    return Visitor(signed_in(make_owner()))


def start(visitor: Visitor, till: PairedTill, number: str = "03") -> None:
    visitor.client.post(reverse("recovery:start_signed_in", args=[till.terminal.id, number]))
    visitor.worker()


def test_the_code_leads_straight_to_the_password(owner: Visitor, till: PairedTill) -> None:
    assert owner.get("start_signed_in", till.terminal.id, "03").status_code == 200
    assert not Recovery.objects.exists()
    start(owner, till)
    assert texts_to() == 1
    assert owner.get("password").url == "/code"
    assert owner.post("code", code=owner.code).url == "/password"
    owner.set_password()
    assert Command.objects.get().requested_by.startswith("user:")


def test_the_supervisor_is_refused_here_as_well(owner: Visitor, till: PairedTill) -> None:
    start(owner, till, "00")
    assert owner.post("code", code=owner.code).url == "/prove/00"
    assert owner.get("prove", "00").status_code == 200
    owner.set_password("258741")
    assert not Command.objects.exists()


def test_a_terminal_without_an_operator_asks_for_one(owner: Visitor, till: PairedTill) -> None:
    owner.client.post(reverse("recovery:start_signed_in", args=[till.terminal.id]))
    owner.worker()
    assert owner.post("code", code=owner.code).url == "/operator"


def test_anothers_terminal_does_not_exist(owner: Visitor) -> None:
    foreign = make_terminal(make_other_merchant())
    url = reverse("recovery:start_signed_in", args=[foreign.id])
    assert [owner.client.get(url).status_code, owner.client.post(url).status_code] == [404, 404]


def test_without_a_second_factor_there_is_no_start(till: PairedTill) -> None:
    half = Visitor(signed_in(make_owner(), second_factor=False))
    answer = half.get("start_signed_in", till.terminal.id)
    assert answer.url.startswith("/sign-in")


def test_without_a_phone_on_file_nothing_is_sent(till: PairedTill) -> None:
    owner = Visitor(signed_in(make_owner()))
    merchant = make_merchant()
    merchant.phone = ""
    merchant.save()
    answer = owner.client.post(reverse("recovery:start_signed_in", args=[till.terminal.id]))
    assert answer.status_code == 200
    assert not Recovery.objects.exists()
