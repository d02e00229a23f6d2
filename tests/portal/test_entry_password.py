"""The password is forgotten: what is asked, what is told, and nobody is signed in afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth import SESSION_KEY
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.devices import TOTPDevice
from portal.models import AuditEvent, Merchant, Message, User
from tests.cast import PASSWORD, make_other_merchant, make_owner, signed_in
from tests.portal.authenticator import Authenticator
from tests.portal.parallel import in_parallel
from tests.portal.regaining import (
    FORGOTTEN,
    LOST,
    NEW,
    WIDE,
    app_of,
    by_paper,
    by_text,
    give_name,
    is_password,
    make_card,
    make_confirmed_owner,
    named,
    say_password,
    set_new,
    show_app,
)
from tests.portal.signing_in import another, give_password, texted
from tests.portal.test_accounts import bare
from tests.portal.test_devices import code_now
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


# ── the password is forgotten ───────────────────────────────────────────────────────────────────────────────


def test_name_app_text_and_a_new_password_and_then_one_signs_in(client: Client, owner: User) -> None:
    elsewhere = signed_in(owner)
    assert give_name(client).headers["Location"] == f"{FORGOTTEN}/factor"
    assert Message.objects.count() == 0
    asked = client.post(f"{FORGOTTEN}/factor", {"code": code_now(app_of(owner))})
    assert asked.headers["Location"] == f"{FORGOTTEN}/prove"
    assert by_text(client, FORGOTTEN).headers["Location"] == f"{FORGOTTEN}/new"
    assert set_new(client).headers["Location"] == f"{FORGOTTEN}/done"
    assert SESSION_KEY not in client.session
    assert client.get(f"{FORGOTTEN}/done").status_code == 200
    assert elsewhere.get("/account").status_code == 302
    assert is_password(NEW)
    assert give_password(client, "owner", "owner", NEW).headers["Location"] == "/sign-in/code"
    told = Message.objects.filter(template="password-reset")
    assert {message.phone for message in told} == {owner.phone}
    event = AuditEvent.objects.get(tag="portal:account:password-reset")
    assert event.facts["proofs"] == ["app", "text"]


def test_every_address_is_told(client: Client, owner: User) -> None:
    named(owner.merchant, "email", "w@example.com", "owner")
    named(owner.merchant, "phone", "+8613900003057", "contact", name="陈静")
    show_app(client, owner)
    by_text(client, FORGOTTEN)
    set_new(client)
    told = Message.objects.filter(template="password-reset")
    assert {message.to for message in told} == {owner.phone, "w@example.com", "+8613900003057"}


def test_a_passkey_stands_for_the_app(client: Client, owner: User) -> None:
    device = Authenticator()
    add(signed_in(owner), device)
    give_name(client)
    options = client.post(f"{FORGOTTEN}/passkey/options").json()
    assert options["allowCredentials"] == []
    answer = client.post(f"{FORGOTTEN}/passkey", {"response": device.sign(options)})
    assert answer.headers["Location"] == f"{FORGOTTEN}/prove"


def test_a_passkey_of_somebody_else_does_not(client: Client, owner: User) -> None:
    stranger, device = make_owner(make_other_merchant(), "stranger"), Authenticator()
    add(signed_in(stranger), device)
    give_name(client)
    options = client.post(f"{FORGOTTEN}/passkey/options").json()
    assert client.post(f"{FORGOTTEN}/passkey", {"response": device.sign(options)}).status_code == 200
    assert client.get(f"{FORGOTTEN}/prove").headers["Location"] == f"{FORGOTTEN}/factor"


@pytest.mark.parametrize("way", ["email", "contact", "paper"])
def test_mailbox_contact_and_paper_stand_for_the_text(
    way: str, client: Client, owner: User, card: list[str]
) -> None:
    mailbox = named(owner.merchant, "email", "w@example.com", "owner")
    contact = named(owner.merchant, "phone", "+8613900003057", "contact", name="陈静")
    show_app(client, owner)
    if way == "paper":
        answer = by_paper(client, FORGOTTEN, card[0])
    else:
        row = {"email": mailbox, "contact": contact}[way]
        client.post(f"{FORGOTTEN}/prove", {"way": f"{way}:{row.pk}"})
        message = Message.objects.latest("created_at")
        assert (message.to, message.template) == (
            row.value,
            {"email": "account-code", "contact": "help-code"}[way],
        )
        answer = client.post(f"{FORGOTTEN}/code", {"code": texted()})
    assert answer.headers["Location"] == f"{FORGOTTEN}/new"


def close_merchant(owner: User) -> None:
    Merchant.objects.update(status=Merchant.Status.CLOSED)


def deactivate(owner: User) -> None:
    User.objects.update(is_active=False)


def take_app(owner: User) -> None:
    TOTPDevice.objects.all().delete()


def nothing(owner: User) -> None:
    pass


@pytest.mark.parametrize("bar", [nothing, close_merchant, deactivate, take_app])
def test_T03_a_name_that_nobody_has_is_answered_byte_by_byte_like_one_that_is_there(
    bar: Callable[[User], None], client: Client, owner: User
) -> None:
    bar(owner)
    stranger, forged = Client(), {"response": "{}"}
    wrong = {"code": another(code_now(TOTPDevice(seed=make_seed(owner))))}
    for known, unknown in [
        (give_name(client), give_name(stranger, "nobody")),
        *((client.get(page), stranger.get(page)) for page in (f"{FORGOTTEN}/factor", f"{FORGOTTEN}/prove")),
        (client.post(f"{FORGOTTEN}/factor", wrong), stranger.post(f"{FORGOTTEN}/factor", wrong)),
        (client.post(f"{FORGOTTEN}/passkey", forged), stranger.post(f"{FORGOTTEN}/passkey", forged)),
        (client.get(f"{FORGOTTEN}/new"), stranger.get(f"{FORGOTTEN}/new")),
    ]:  # fmt: skip
        assert bare(known) == bare(unknown)
    options = client.post(f"{FORGOTTEN}/passkey/options").json()
    others = stranger.post(f"{FORGOTTEN}/passkey/options").json()
    assert options | {"challenge": ""} == others | {"challenge": ""}
    assert Message.objects.count() == 0


def make_seed(owner: User) -> str:
    app = TOTPDevice.objects.filter(user=owner).first()
    return app.seed if app else TOTPDevice(user=owner).seed


def test_T03_and_asks_the_database_the_same(client: Client, owner: User) -> None:
    def asked(who: Client, step: Callable[[], Any]) -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            step()
        return [query["sql"].split(" ")[0] for query in queries]

    stranger = Client()
    # Counters of limits are made by the first who asks.
    for warm in (client, stranger):
        give_name(warm)
        warm.post(f"{FORGOTTEN}/factor", {"code": "000000"})
        give_name(warm, "nobody")
        warm.post(f"{FORGOTTEN}/factor", {"code": "000000"})
    known = asked(client, lambda: give_name(client))
    assert known == asked(stranger, lambda: give_name(stranger, "nobody"))
    wrong = {"code": another(code_now(app_of(owner)))}
    known = asked(client, lambda: client.post(f"{FORGOTTEN}/factor", wrong))
    assert known == asked(stranger, lambda: stranger.post(f"{FORGOTTEN}/factor", wrong))


@pytest.mark.parametrize("username", ["owner", "nobody"])
def test_after_ten_wrong_codes_an_hour_there_is_a_pause_whoever_it_is(
    username: str, client: Client, owner: User
) -> None:
    give_name(client, username)
    wrong = {"code": another(code_now(app_of(owner)))}
    answers = [client.post(f"{FORGOTTEN}/factor", wrong).status_code for _ in range(11)]
    assert answers == [200] * 10 + [429]
    assert give_name(Client(), username).status_code == 302


# ── no step before the one it hangs on ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", ["factor", "prove", "code", "paper", "new"])
def test_T33_without_a_name_every_page_leads_to_the_first(page: str, client: Client, owner: User) -> None:
    for answer in (client.get(f"{FORGOTTEN}/{page}"), client.post(f"{FORGOTTEN}/{page}")):
        assert answer.headers["Location"] == FORGOTTEN


@pytest.mark.parametrize("page", ["prove", "code", "paper", "new", "code/resend"])
@pytest.mark.parametrize("typed", [{}, {"way": "text"}, {"new_password": NEW, "again": NEW}, {"code": ""}])
def test_T33_before_the_second_factor_nothing_opens_and_nothing_is_sent(
    page: str, typed: dict[str, str], client: Client, owner: User, card: list[str]
) -> None:
    before = Message.objects.count()
    give_name(client)
    answer = client.post(f"{FORGOTTEN}/{page}", typed)
    assert answer.status_code == 302
    assert client.get(f"{FORGOTTEN}/prove").headers["Location"] == f"{FORGOTTEN}/factor"
    assert Message.objects.count() == before
    assert is_password(PASSWORD)


def test_T33_the_second_factor_alone_sets_no_password(client: Client, owner: User) -> None:
    show_app(client, owner)
    assert set_new(client).headers["Location"] == f"{FORGOTTEN}/prove"
    assert is_password(PASSWORD)


def test_T33_what_one_door_proved_the_other_does_not_know(
    client: Client, owner: User, card: list[str]
) -> None:
    say_password(client)
    by_text(client, LOST)
    assert set_new(client).headers["Location"] == FORGOTTEN
    show_app(client, owner)
    assert client.post(f"{LOST}/remove").headers["Location"] == LOST
    assert TOTPDevice.objects.count() == 1


def test_T33_whose_account_it_is_is_never_taken_from_the_form(client: Client, owner: User) -> None:
    stranger = make_owner(make_other_merchant(), "stranger")
    show_app(client, owner)
    by_text(client, FORGOTTEN)
    typed = {"new_password": NEW, "again": NEW, "account-name": "stranger", "username": "stranger"}
    client.post(f"{FORGOTTEN}/new", {**typed, "user": stranger.pk})
    stranger.refresh_from_db()
    assert stranger.check_password(PASSWORD)
    assert is_password(NEW)


def test_a_password_that_was_changed_meanwhile_ends_the_sitting(client: Client, owner: User) -> None:
    show_app(client, owner)
    by_text(client, FORGOTTEN)
    owner.set_password("Kx83hfP2mqLw")
    owner.save()
    assert set_new(client).headers["Location"] == FORGOTTEN
    assert is_password("Kx83hfP2mqLw")


def test_it_takes_too_long_after_twenty_minutes(client: Client, owner: User) -> None:
    show_app(client, owner)
    by_text(client, FORGOTTEN)
    with time_machine.travel(timezone.now() + timedelta(minutes=20, seconds=1)):
        assert set_new(client).headers["Location"] == FORGOTTEN


def test_a_way_that_is_not_on_the_list_is_refused(client: Client, owner: User) -> None:
    other = named(make_other_merchant(), "email", "x@example.com", "owner")
    show_app(client, owner)
    for way in ("paper", "app", "password", f"email:{other.pk}", "", "x" * 41, "text:1"):
        assert client.post(f"{FORGOTTEN}/prove", {"way": way}).status_code == 200
    assert Message.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_set_it_at_once_one_does(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {**settings.REKEY_LIMITS, "second-factor-per-account": "1000/hour"}
    owner, client = make_confirmed_owner(), Client()
    show_app(client, owner)
    by_text(client, FORGOTTEN)
    copies = [Client() for _ in range(8)]
    for copy in copies:
        copy.cookies.update(client.cookies)
    numbered = iter(range(8))

    def one() -> str:
        at = next(numbered)
        return str(set_new(copies[at], f"{NEW}-{at}").headers.get("Location", ""))

    answers = in_parallel(8, one, 8)
    assert answers.count(f"{FORGOTTEN}/done") == 1
    assert AuditEvent.objects.filter(tag="portal:account:password-reset").count() == 1
