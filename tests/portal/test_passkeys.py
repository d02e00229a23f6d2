"""Passkeys: what is signed counts once, here, for its owner, and only when its owner was there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.utils import timezone
from django_otp.models import Device

from portal import passkeys
from portal.models import AuditEvent, Challenge, Merchant, Message, Passkey, User
from tests.cast import make_other_merchant, make_owner, signed_in
from tests.portal.authenticator import PRESENT, Authenticator
from tests.portal.parallel import in_parallel

pytestmark = pytest.mark.django_db
OPTIONS, DOOR, NEW = "/sign-in/passkey/options", "/sign-in/passkey", "/account/passkeys/new"


@pytest.fixture(autouse=True)
def wide_limits(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"sign-in": "10000/hour"}


@pytest.fixture
def owner() -> User:
    return make_owner()


def add(client: Client, device: Authenticator, name: str = "my phone") -> Any:
    options = client.post(f"{NEW}/options").json()
    return client.post(NEW, {"name": name, "response": device.make(options)})


@pytest.fixture
def device(owner: User) -> Authenticator:
    made = Authenticator()
    assert add(signed_in(owner), made).status_code == 302
    return made


def come_in(client: Client, device: Authenticator, **more: str) -> Any:
    options = client.post(OPTIONS).json()
    return client.post(DOOR, {"response": device.sign(options), **more})


def is_in(client: Client) -> bool:
    return SESSION_KEY in client.session and client.get("/home").status_code == 200


# ── honest ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_passkey_is_made_named_told_and_on_record(owner: User, device: Authenticator) -> None:
    kept = Passkey.objects.get()
    assert (kept.user, kept.name) == (owner, "my phone")
    assert Message.objects.get().template == "factor-added"
    assert AuditEvent.objects.get(tag="portal:account:second-factor-added").facts == {"factor": "passkey"}


def test_a_passkey_alone_opens_the_owners_door(device: Authenticator, client: Client) -> None:
    assert come_in(client, device).headers["Location"] == "/home"
    assert is_in(client)
    assert Passkey.objects.get().last_used_at is not None


def test_it_leads_where_one_wanted_to_go_and_nowhere_else(device: Authenticator, client: Client) -> None:
    assert come_in(client, device, next="/resets").headers["Location"] == "/resets"
    assert come_in(Client(), device, next="//evil.example").headers["Location"] == "/home"


def test_the_session_key_changes_with_it(device: Authenticator, client: Client) -> None:
    client.post(OPTIONS)
    before = client.session.session_key
    come_in(client, device)
    assert client.session.session_key != before


def test_what_is_asked_tells_nothing_about_who_has_one(owner: User, client: Client) -> None:
    before = client.post(OPTIONS).json()
    add(signed_in(owner), Authenticator())
    after = client.post(OPTIONS).json()
    assert before.pop("challenge") != after.pop("challenge")
    assert before == after
    assert after["allowCredentials"] == []
    assert after["userVerification"] == "required"


def test_with_a_passkey_and_no_app_the_password_is_followed_by_it_and_never_by_a_text(client: Client) -> None:
    owner = make_owner(app=False)
    device = Authenticator()
    add(signed_in(owner), device)
    Message.objects.all().delete()
    assert give_password(client).headers["Location"] == "/sign-in/code"
    page = client.get("/sign-in/code")
    assert page.context["channel"] == "passkey"
    assert client.post("/sign-in/code", {"code": "123456"}).status_code == 200
    assert not Message.objects.exists()
    come_in(client, device)
    assert is_in(client)


def give_password(client: Client) -> Any:
    return client.post("/sign-in", {"username": "owner", "password": "correct horse battery staple"})


def test_a_session_ends_with_the_passkey_that_opened_it(device: Authenticator, client: Client) -> None:
    come_in(client, device)
    Passkey.objects.all().delete()
    assert client.get("/home").status_code == 302


# ── forged ──────────────────────────────────────────────────────────────────────────────────────────────────

FORGERIES: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://testserver.evil.example"},
    "another port": {"origin": "http://testserver:8001"},
    "another party": {"rp_id": "evil.example"},
    "nobody verified": {"flags": PRESENT},
    "nobody there": {"flags": 0},
    "another's handle": {"handle": "AAAA"},
    "another key": {"key": Authenticator().key},
    "an unknown credential": {"credential": b"x" * 32},
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_answer_opens_nothing(how: str, device: Authenticator, client: Client) -> None:
    come_in(client, dataclasses.replace(device, **FORGERIES[how]))
    assert not is_in(client)
    assert AuditEvent.objects.filter(tag="portal:account:sign-in-refused").count() == 1


@pytest.mark.parametrize("how", ["another origin", "another party", "nobody verified", "nobody there"])
def test_a_forged_passkey_is_not_kept(how: str, owner: User) -> None:
    answer = add(signed_in(owner), Authenticator(**FORGERIES[how]))
    assert answer.status_code == 200
    assert not Passkey.objects.exists()


def test_an_answer_counts_once(device: Authenticator, client: Client) -> None:
    answer = device.sign(client.post(OPTIONS).json())
    client.post(DOOR, {"response": answer})
    client.post("/sign-out")
    client.post(DOOR, {"response": answer})
    assert not is_in(client)


def test_an_answer_counts_in_the_browser_that_was_asked(device: Authenticator, client: Client) -> None:
    answer = device.sign(client.post(OPTIONS).json())
    other = Client()
    other.post(OPTIONS)
    other.post(DOOR, {"response": answer})
    assert not is_in(other)


def test_five_minutes_later_it_counts_no_more(device: Authenticator, client: Client) -> None:
    answer = device.sign(client.post(OPTIONS).json())
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1)):
        client.post(DOOR, {"response": answer})
        assert not is_in(client)


def test_a_challenge_for_one_thing_serves_no_other(owner: User, device: Authenticator) -> None:
    asked = json.loads(passkeys.assertion("one", "browser:1"))
    assert passkeys.verify("another", "browser:1", device.sign(asked)) is None
    assert passkeys.verify("one", "browser:2", device.sign(asked)) is None
    kept = passkeys.verify("one", "browser:1", device.sign(asked))
    assert kept is not None
    assert kept.user == owner


def test_a_challenge_of_ones_own_making_is_none(device: Authenticator) -> None:
    row = Challenge.objects.create(purpose="one", subject="s", expires_at=timezone.now() + timedelta(hours=1))
    forged = passkeys.bytes_to_base64url(row.id.encode() + bytes(16))
    assert passkeys.verify("one", "s", device.sign({"challenge": forged})) is None


def test_a_counter_that_stands_still_or_goes_back_is_a_copy(device: Authenticator, client: Client) -> None:
    device.counter = 7
    come_in(client, device)
    assert is_in(client)
    for counter in (7, 6, 0):
        device.counter = counter
        come_in(copy := Client(), device)
        assert not is_in(copy)
    device.counter = 8
    come_in(again := Client(), device)
    assert is_in(again)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{}",
        "[]",
        "null",
        '{"id": 1}',
        "\u0000",
        "[" * 5000,
        '{"response": {"clientDataJSON": "e30"}}',
    ],
)
def test_what_is_no_answer_is_refused_like_one_that_is_wrong(text: str, client: Client) -> None:
    client.post(OPTIONS)
    assert client.post(DOOR, {"response": text}).headers["Location"] == "/sign-in"
    assert client.post(DOOR, {}).headers["Location"] == "/sign-in"


@pytest.mark.django_db(transaction=True)
def test_of_five_that_send_one_answer_at_once_one_is_let_in(owner: User) -> None:
    device = Authenticator()
    add(signed_in(owner), device)
    answer = device.sign(json.loads(passkeys.assertion("one", "s")))
    kept = in_parallel(5, lambda: passkeys.verify("one", "s", answer))
    assert sum(one is not None for one in kept) == 1


# ── whose ───────────────────────────────────────────────────────────────────────────────────────────────────


def close_merchant(owner: User) -> None:
    Merchant.objects.update(status=Merchant.Status.CLOSED)


def deactivate(owner: User) -> None:
    User.objects.update(is_active=False)


def become_staff(owner: User) -> None:
    User.objects.update(merchant=None, is_staff=True)


@pytest.mark.parametrize("bar", [close_merchant, deactivate, become_staff])
def test_who_may_not_come_in_does_not_with_a_passkey(
    bar: Callable[[User], None], owner: User, device: Authenticator, client: Client
) -> None:
    bar(owner)
    come_in(client, device)
    assert not is_in(client)


def test_a_passkey_of_somebody_else_proves_nothing_again(device: Authenticator) -> None:
    neighbour = signed_in(make_owner(make_other_merchant(), "neighbour"))
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        neighbour.get("/home")
        options = neighbour.post("/account/confirm/passkey/options").json()
        answer = neighbour.post("/account/confirm/passkey", {"response": device.sign(options)})
        assert answer.headers["Location"] == "/account/confirm"
        assert neighbour.get(NEW).status_code == 302


def test_others_passkeys_are_not_there(device: Authenticator) -> None:
    neighbour = signed_in(make_owner(make_other_merchant(), "neighbour"))
    pk = Passkey.objects.get().pk
    for page in ("edit", "remove"):
        for number in (pk, 10**30):
            assert neighbour.get(f"/account/passkeys/{number}/{page}").status_code == 404
            assert neighbour.post(f"/account/passkeys/{number}/{page}", {"name": "x"}).status_code == 404
    assert Passkey.objects.get().name == "my phone"


def test_one_authenticator_is_one_passkey_of_one_person(owner: User, device: Authenticator) -> None:
    neighbour = make_owner(make_other_merchant(), "neighbour")
    assert add(signed_in(neighbour), device).status_code == 200
    assert Passkey.objects.get().user == owner


def test_there_are_ten_at_most(owner: User) -> None:
    client = signed_in(owner)
    for _ in range(passkeys.MOST + 1):
        add(client, Authenticator())
    assert Passkey.objects.count() == passkeys.MOST


# ── named and removed ───────────────────────────────────────────────────────────────────────────────────────


def test_a_passkey_without_a_name_is_not_kept(owner: User) -> None:
    assert add(signed_in(owner), Authenticator(), name=" ").status_code == 200
    assert not Passkey.objects.exists()


def test_it_is_renamed_and_removed_and_the_owner_is_told(owner: User, device: Authenticator) -> None:
    client, pk = signed_in(owner), Passkey.objects.get().pk
    client.post(f"/account/passkeys/{pk}/edit", {"name": "the office"})
    assert "the office" in client.get("/account").content.decode()
    assert client.get(f"/account/passkeys/{pk}/remove").status_code == 200
    assert Passkey.objects.exists()
    client.post(f"/account/passkeys/{pk}/remove")
    assert not Passkey.objects.exists()
    assert Message.objects.filter(template="factor-removed").count() == 1


def test_the_last_second_factor_stays(client: Client) -> None:
    client = signed_in(make_owner(app=False))
    add(client, Authenticator())
    client.post(f"/account/passkeys/{Passkey.objects.get().pk}/remove")
    assert Passkey.objects.exists()


def test_django_otp_knows_it_as_a_device_that_takes_no_codes(device: Authenticator) -> None:
    kept = Passkey.objects.get()
    assert Device.from_persistent_id(kept.persistent_id) == kept
    assert not kept.verify_token("123456")


def test_the_key_of_a_loopback_address_is_kept_for_localhost(settings: LazySettings) -> None:
    settings.REKEY_ORIGIN = "http://127.0.0.1:8123"
    party = passkeys.relying_party()
    assert (party.id, party.origin, party.host) == ("localhost", "http://localhost:8123", "localhost:8123")
    settings.REKEY_ORIGIN = "https://rekey.example"
    assert passkeys.relying_party().id == "rekey.example"
