"""The owner's pages about addresses: what they ask, what they refuse, and whom they let in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from portal import addresses, changes
from portal.codes import derive_code
from portal.models import AddressChange, Merchant
from portal.secrets import pepper
from tests.cast import FUMANLOU, make_merchant, make_other_merchant, make_owner, signed_in

pytestmark = pytest.mark.django_db
NEW = "139 0000 3057"
ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def owner() -> Client:
    return signed_in(make_owner(make_merchant()))


def shop() -> Merchant:
    return Merchant.objects.get(number=FUMANLOU["number"])


def type_code(client: Client, **more: str) -> Any:
    challenge = AddressChange.objects.latest("requested_at").challenge
    assert challenge is not None
    code = derive_code(pepper(), challenge.seed, challenge.purpose)
    return client.post("/proofs/code", {"code": code, **more}, headers=ENGLISH)


def name_one(client: Client, to: str = NEW, **more: str) -> Any:
    form = {"holder": "owner", "name": "second phone", "to": to, **more}
    return client.post("/proofs/new", form, headers=ENGLISH)


def test_an_owner_names_an_address_and_sees_it(owner: Client) -> None:
    assert "Name 2 more" in owner.get("/proofs", headers=ENGLISH).content.decode()
    assert name_one(owner).headers["Location"] == "/proofs/code"
    assert "139****3057" in owner.get("/proofs/code").content.decode()
    assert type_code(owner).headers["Location"] == "/proofs"
    page = owner.get("/proofs", headers=ENGLISH).content.decode()
    assert "139****3057" in page and "13900003057" not in page
    assert "Opens 00 and 99 from" in page
    assert "Name one more" in page


NOT_ONE = ["", "12345", "010 6552 9988", "a@b", "@", "a" * 200 + "@example.com", "\x00@x.cn"]


@pytest.mark.parametrize("to", NOT_ONE)
def test_what_is_no_address_is_told_and_sends_nothing(owner: Client, to: str) -> None:
    answer = name_one(owner, to)
    assert answer.status_code == 200
    assert not AddressChange.objects.exists()


def test_the_shops_page_reminds_until_there_are_two(owner: Client) -> None:
    reminder = "too few other ways lead in"
    for to in (NEW, "owner@example.com"):
        assert reminder in owner.get("/home", headers=ENGLISH).content.decode()
        name_one(owner, to)
        type_code(owner)
    assert reminder not in owner.get("/home", headers=ENGLISH).content.decode()


def test_what_nobody_confirmed_for_long_is_asked_for(owner: Client) -> None:
    Merchant.objects.update(created_at=timezone.now() - timedelta(days=76))
    home = owner.get("/home", headers=ENGLISH).content.decode()
    assert "Not confirmed for long: the registered phone" in home


def test_a_wrong_code_names_nothing(owner: Client) -> None:
    name_one(owner)
    for code in ("000000", "12", "", "²²²²²²"):
        answer = owner.post("/proofs/code", {"code": code}, headers=ENGLISH)
        assert answer.status_code in (200, 302)
    assert len(addresses.ways(shop())) <= 1


def test_the_phone_is_changed_and_the_change_undone(owner: Client) -> None:
    assert owner.get("/proofs/phone").status_code == 200
    owner.post("/proofs/phone", {"to": NEW})
    type_code(owner)
    assert shop().phone == "+8613900003057"
    (change,) = changes.standing(shop())
    assert change.number in owner.get("/proofs").content.decode()
    owner.post(f"/proofs/undo/{change.number}")
    assert shop().phone == FUMANLOU["phone"]


def test_a_phone_is_not_replaced_by_a_mailbox(owner: Client) -> None:
    answer = owner.post("/proofs/phone", {"to": "owner@example.com"}, headers=ENGLISH)
    assert "Type a mobile number here." in answer.content.decode()


def test_an_address_is_confirmed_changed_and_removed(owner: Client) -> None:
    name_one(owner, "owner@example.com")
    type_code(owner)
    (way,) = addresses.ways(shop())
    assert owner.get(f"/proofs/at/{way.id}").status_code == 200
    owner.post(f"/proofs/at/{way.id}/confirm")
    assert type_code(owner).headers["Location"] == "/proofs"
    owner.post(f"/proofs/at/{way.id}", {"to": "new@example.com"})
    type_code(owner)
    assert addresses.ways(shop())[0].to == "new@example.com"
    assert owner.get(f"/proofs/at/{way.id}/remove").status_code == 200
    owner.post(f"/proofs/at/{way.id}/remove")
    assert addresses.ways(shop()) == []


def test_the_registered_phone_is_confirmed(owner: Client) -> None:
    owner.post("/proofs/phone/confirm")
    type_code(owner)
    assert shop().phone_confirmed_at is not None
    assert changes.standing(shop()) == []


FORMS = ("code", "code/resend", "phone/confirm", "undo/C222-2222", "at/x/confirm")
PAGES = ("new", "phone", "at/x", "at/x/remove", *FORMS)


@pytest.mark.parametrize("page", PAGES)
def test_each_page_wants_a_fresh_proof(owner: Client, page: str) -> None:
    session = owner.session
    session["proved_at"] -= 601
    session.save()
    for answer in (owner.get(f"/proofs/{page}"), owner.post(f"/proofs/{page}")):
        assert answer.headers["Location"].startswith("/account/confirm?next=")
    assert Client().get(f"/proofs/{page}").headers["Location"].startswith("/sign-in")


@pytest.mark.parametrize("page", FORMS)
def test_a_form_that_is_only_looked_at_leads_to_the_page(owner: Client, page: str) -> None:
    assert owner.get(f"/proofs/{page}").headers["Location"] == "/proofs"


def test_a_neighbours_address_and_change_do_not_exist(owner: Client) -> None:
    neighbour = signed_in(make_owner(make_other_merchant(), "neighbour"))
    name_one(neighbour)
    type_code(neighbour)
    change = AddressChange.objects.get()
    for page in ("", "/remove", "/confirm"):
        assert owner.post(f"/proofs/at/{change.address_id}{page}").status_code == 404
    assert owner.post(f"/proofs/undo/{change.number}").status_code == 404
    assert len(changes.standing(change.merchant)) == 1
