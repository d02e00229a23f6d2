"""Proving it again: ten minutes, with what one has, before anything that proves is changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from portal.devices import TOTPDevice
from portal.models import AuditEvent, Message, User
from tests.cast import make_owner, signed_in
from tests.portal.signing_in import another
from tests.portal.test_devices import code_now

pytestmark = pytest.mark.django_db
NEW, CONFIRM = "/account/passkeys/new", "/account/confirm"
CHANGING = [NEW, "/account/app/new", "/account/app/remove"]


@pytest.fixture
def owner() -> User:
    return make_owner()


@pytest.fixture
def later(owner: User) -> Iterator[Client]:
    """A browser in which the owner signed in eleven minutes ago."""
    client = signed_in(owner)
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        yield client


def app_of(owner: User) -> TOTPDevice:
    return TOTPDevice.objects.get(user=owner, confirmed=True)


@pytest.mark.parametrize("page", CHANGING)
def test_within_ten_minutes_of_signing_in_nothing_more_is_asked(page: str, owner: User) -> None:
    client = signed_in(owner)
    with time_machine.travel(timezone.now() + timedelta(minutes=9, seconds=50)):
        assert client.get(page).status_code == 200


@pytest.mark.parametrize("page", CHANGING)
def test_T37_later_one_proves_it_again_and_comes_back(page: str, owner: User, later: Client) -> None:
    asked = later.get(page).headers["Location"]
    assert asked == f"{CONFIRM}?next=%2F{page[1:].replace('/', '%2F')}"
    assert later.post(page, {"code": "123456"}).headers["Location"] == asked
    before = later.session.session_key
    assert later.post(asked, {"code": code_now(app_of(owner))}).headers["Location"] == page
    assert later.session.session_key != before
    assert later.get(page).status_code == 200
    assert AuditEvent.objects.filter(tag="portal:account:proved-again").count() == 1


def test_T37_options_for_a_new_passkey_are_not_given_without_it(later: Client) -> None:
    assert later.post(f"{NEW}/options").status_code == 302


def test_a_wrong_code_proves_nothing(owner: User, later: Client) -> None:
    answer = later.post(CONFIRM, {"code": another(code_now(app_of(owner)))})
    assert answer.status_code == 200
    assert later.get(NEW).status_code == 302


def test_T37_a_code_that_signed_in_does_not_prove_again(owner: User, later: Client) -> None:
    code = code_now(app_of(owner))
    later.post(CONFIRM, {"code": code})
    other = signed_in(owner)
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=30)):
        assert other.post(CONFIRM, {"code": code}).status_code == 200


def test_it_leads_to_pages_of_ours_only(owner: User, later: Client) -> None:
    answer = later.post(f"{CONFIRM}?next=//evil.example", {"code": code_now(app_of(owner))})
    assert answer.headers["Location"] == "/account"


def test_strangers_and_half_signed_in_owners_are_sent_to_sign_in(owner: User) -> None:
    for client in (Client(), signed_in(owner, second_factor=False)):
        assert client.get(CONFIRM).headers["Location"].startswith("/sign-in")


# ── an owner without a strong second factor ─────────────────────────────────────────────────────────────────


def test_an_owner_with_texts_only_is_led_to_set_up_something_better_first() -> None:
    client = signed_in(make_owner(app=False))
    for page in ("/home", "/resets", "/account", "/account/app/remove"):
        assert client.get(page).headers["Location"] == "/account/secure"
    assert client.get("/account/secure").status_code == 200
    app = TOTPDevice.objects.filter(confirmed=True)
    assert client.get("/account/app/new").status_code == 200
    assert not app.exists()
    pending = TOTPDevice.objects.get()
    assert client.post("/account/app/new", {"code": another(code_now(pending))}).status_code == 200
    assert client.get("/home").status_code == 302
    assert client.post("/account/app/new", {"code": code_now(pending)}).headers["Location"] == "/account"
    assert client.get("/home").status_code == 200
    assert client.get("/account/secure").headers["Location"] == "/account"
    assert [one.template for one in Message.objects.all()] == ["factor-added"]


def test_who_has_texts_only_proves_it_again_by_signing_in_again() -> None:
    client = signed_in(make_owner(app=False))
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        asked = client.get("/account/app/new").headers["Location"]
        assert client.get(asked).headers["Location"] == "/sign-in?next=/account/app/new"


def test_a_new_app_replaces_the_old_one_whose_codes_end(owner: User) -> None:
    client, old = signed_in(owner), app_of(owner)
    client.get("/account/app/new")
    pending = TOTPDevice.objects.get(user=owner, confirmed=False)
    assert app_of(owner) == old
    client.post("/account/app/new", {"code": code_now(pending)})
    assert app_of(owner) == pending
    assert TOTPDevice.objects.count() == 1


def test_an_app_that_is_not_set_up_yet_signs_nobody_in(owner: User, client: Client) -> None:
    signed_in(owner).get("/account/app/new")
    pending = TOTPDevice.objects.get(confirmed=False)
    client.post("/sign-in", {"username": "owner", "password": "correct horse battery staple"})
    assert client.post("/sign-in/code", {"code": code_now(pending)}).status_code == 200


def test_the_app_as_the_last_second_factor_stays(owner: User) -> None:
    signed_in(owner).post("/account/app/remove")
    assert app_of(owner)
