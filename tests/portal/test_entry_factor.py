"""The second factor is lost: what is asked, what is told, and nobody is signed in afterwards."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.utils import timezone

from portal import recovery_codes
from portal.devices import SMSDevice, TOTPDevice
from portal.models import AuditEvent, Challenge, Merchant, Message, Passkey, User
from tests.cast import signed_in
from tests.portal.authenticator import Authenticator
from tests.portal.regaining import (
    FORGOTTEN,
    LOST,
    WIDE,
    app_of,
    by_paper,
    by_text,
    make_card,
    make_confirmed_owner,
    named,
    say_password,
    show_app,
)
from tests.portal.signing_in import another, give_password, texted
from tests.portal.test_accounts import bare
from tests.portal.test_passkeys import add

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def wide_limits(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = WIDE


@pytest.fixture
def owner() -> User:
    return make_confirmed_owner()


@pytest.fixture
def card(owner: User) -> list[str]:
    return make_card(owner)


# ── the second factor is lost ───────────────────────────────────────────────────────────────────────────────


def test_password_text_and_paper_remove_it_and_the_next_sign_in_sets_up_a_new_one(
    client: Client, owner: User, card: list[str]
) -> None:
    add(signed_in(owner), Authenticator())
    elsewhere = signed_in(owner)
    assert say_password(client).headers["Location"] == f"{LOST}/prove"
    assert by_text(client, LOST).headers["Location"] == f"{LOST}/prove"
    assert by_paper(client, LOST, card[0]).headers["Location"] == f"{LOST}/remove"
    assert client.get(f"{LOST}/remove").status_code == 200
    assert TOTPDevice.objects.count() == 1
    assert client.post(f"{LOST}/remove").headers["Location"] == f"{LOST}/done"
    assert (TOTPDevice.objects.count(), Passkey.objects.count()) == (0, 0)
    assert SESSION_KEY not in client.session
    assert elsewhere.get("/account").status_code == 302
    assert Message.objects.filter(template="factors-lost").count() == 1
    event = AuditEvent.objects.get(tag="portal:account:second-factors-lost")
    assert event.facts["proofs"] == ["paper", "password", "text"]
    give_password(client, "owner", "owner")
    assert client.post("/sign-in/code", {"code": texted()}).status_code == 302
    assert client.get("/account").headers["Location"] == "/account/secure"


def test_whoever_has_just_given_the_password_at_the_sign_in_need_not_again(
    client: Client, owner: User
) -> None:
    give_password(client, "owner", "owner")
    assert LOST in client.get("/sign-in/code").content.decode()
    assert client.get(LOST).headers["Location"] == f"{LOST}/prove"


def test_a_wrong_password_and_an_unknown_name_are_one_answer(client: Client, owner: User) -> None:
    stranger: Any = Client().post(LOST, {"username": "nobod", "password": "x"})
    wrong, unknown = bare(say_password(client, "x")), bare(stranger).replace("nobod", "owner")
    assert wrong == unknown
    assert client.get(f"{LOST}/prove").headers["Location"] == LOST


@pytest.mark.parametrize("proofs", ["", "text", "paper", "email", "contact", "paper email", "paper contact"])
def test_less_than_password_phone_and_one_more_removes_nothing(
    proofs: str, client: Client, owner: User, card: list[str]
) -> None:
    rows = {
        "email": named(owner.merchant, "email", "w@example.com", "owner"),
        "contact": named(owner.merchant, "phone", "+8613900003057", "contact", name="陈静"),
    }
    say_password(client)
    for proof in proofs.split():
        if proof == "text":
            by_text(client, LOST)
        elif proof == "paper":
            by_paper(client, LOST, card[0])
        else:
            client.post(f"{LOST}/prove", {"way": f"{proof}:{rows[proof].pk}"})
            client.post(f"{LOST}/code", {"code": texted() if Challenge.objects.exists() else "123456"})
    for answer in (client.get(f"{LOST}/remove"), client.post(f"{LOST}/remove")):
        assert answer.headers["Location"] == f"{LOST}/prove"
    assert TOTPDevice.objects.count() == 1


@pytest.mark.parametrize("way", ["email", "contact"])
def test_mailbox_and_contact_stand_beside_the_phone(way: str, client: Client, owner: User) -> None:
    kind, value = {"email": ("email", "w@example.com"), "contact": ("phone", "+8613900003057")}[way]
    row = named(owner.merchant, kind, value, "owner" if way == "email" else "contact", name="陈静")
    say_password(client)
    client.post(f"{LOST}/prove", {"way": f"{way}:{row.pk}"})
    assert client.post(f"{LOST}/code", {"code": texted()}).headers["Location"] == f"{LOST}/prove"
    assert by_text(client, LOST).headers["Location"] == f"{LOST}/remove"


DOUBTS: list[dict[str, Any]] = [
    {"phone_held_until": timedelta(hours=70)},
    {"phone_confirmed_at": timedelta(days=-91)},
    {"texts_distrusted_at": timedelta(0)},
]


@pytest.mark.parametrize("doubt", DOUBTS, ids=lambda doubt: next(iter(doubt)))
def test_a_doubted_phone_counts_nothing_and_the_page_shows_the_way_to_support(
    doubt: dict[str, timedelta], client: Client, owner: User, card: list[str]
) -> None:
    say_password(client)
    by_text(client, LOST)
    by_paper(client, LOST, card[0])
    Merchant.objects.update(**{field: timezone.now() + at for field, at in doubt.items()})
    assert client.post(f"{LOST}/remove").headers["Location"] == f"{LOST}/prove"
    page = client.get(f"{LOST}/prove")
    assert page.context["rows"] == []
    assert "/support" in page.content.decode()
    assert TOTPDevice.objects.count() == 1


def test_a_held_mailbox_is_not_offered(client: Client, owner: User) -> None:
    row = named(
        owner.merchant, "email", "w@example.com", "owner", held_until=timezone.now() + timedelta(hours=1)
    )
    show_app(client, owner)
    assert client.post(f"{FORGOTTEN}/prove", {"way": f"email:{row.pk}"}).status_code == 200
    assert Message.objects.count() == 0


def test_while_the_shop_is_frozen_neither_door_opens(client: Client, owner: User, card: list[str]) -> None:
    say_password(client)
    by_text(client, LOST)
    by_paper(client, LOST, card[0])
    Merchant.objects.update(frozen_until=timezone.now() + timedelta(minutes=30))
    client.post(f"{LOST}/remove")
    assert TOTPDevice.objects.count() == 1
    show_app(client, owner)
    assert client.get(f"{FORGOTTEN}/prove").context["block"] == "frozen"
    assert client.post(f"{FORGOTTEN}/prove", {"way": "text"}).status_code == 200


def test_who_has_no_second_factor_is_told_to_just_sign_in(client: Client, owner: User) -> None:
    TOTPDevice.objects.all().delete()
    assert say_password(client).headers["Location"] == "/sign-in"


def test_one_sitting_spends_one_recovery_code(client: Client, owner: User, card: list[str]) -> None:
    say_password(client)
    by_paper(client, LOST, card[0])
    client.post(f"{LOST}/paper", {"code": card[1]})
    assert owner.merchant is not None
    assert recovery_codes.left(owner.merchant) == 9


def test_a_wrong_recovery_code_spends_none(client: Client, owner: User, card: list[str]) -> None:
    say_password(client)
    client.post(f"{LOST}/prove", {"way": "paper"})
    assert client.post(f"{LOST}/paper", {"code": "ABCD-EFGH-JKMN-PQRV"}).status_code == 200
    assert owner.merchant is not None
    assert recovery_codes.left(owner.merchant) == 10


def test_five_wrong_codes_end_the_text_and_another_may_be_asked_for(
    client: Client, owner: User, card: list[str]
) -> None:
    say_password(client)
    client.post(f"{LOST}/prove", {"way": "text"})
    right = texted()
    for _ in range(5):
        client.post(f"{LOST}/code", {"code": another(right)})
    assert client.post(f"{LOST}/code", {"code": right}).status_code == 200
    assert client.get(f"{LOST}/code").context["dead"]
    assert by_text(client, LOST).headers["Location"] == f"{LOST}/prove"


def test_asking_again_sends_nothing_within_a_minute_and_a_code_goes_out_three_times(
    client: Client, owner: User, card: list[str]
) -> None:
    say_password(client)
    for _ in range(3):
        client.post(f"{LOST}/prove", {"way": "text"})
        client.post(f"{LOST}/code/resend")
    assert Message.objects.filter(template="account-code").count() == 1
    for minute in range(1, 8):
        with time_machine.travel(timezone.now() + timedelta(minutes=minute)):
            client.post(f"{LOST}/code/resend")
    assert Message.objects.filter(template="account-code").count() == 3


def test_of_the_account_only_the_phone_is_left_even_when_it_had_none(
    client: Client, owner: User, card: list[str]
) -> None:
    SMSDevice.objects.all().delete()
    say_password(client)
    by_text(client, LOST)
    by_paper(client, LOST, card[0])
    client.post(f"{LOST}/remove")
    assert SMSDevice.objects.get().user == owner


def test_the_session_holds_no_code_no_phone_and_no_name(client: Client, owner: User) -> None:
    show_app(client, owner)
    client.post(f"{FORGOTTEN}/prove", {"way": "text"})
    kept = json.dumps(client.session["entry"])
    for secret in (texted(), owner.phone, owner.phone[3:], "owner", app_of(owner).seed):
        assert secret not in kept
