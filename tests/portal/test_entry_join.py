"""Invited: one code makes one account, with the registered phone, and every wrong code is one answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from portal.devices import SMSDevice
from portal.entry import invitations
from portal.models import AuditEvent, Invitation, Merchant, Message, User
from portal.paper import draw, written
from tests.cast import PASSWORD, make_merchant, make_owner, make_staff, signed_in
from tests.portal.parallel import in_parallel
from tests.portal.signing_in import another, texted
from tests.portal.test_accounts import bare

pytestmark = pytest.mark.django_db
NEW = "lamp-sofa-river"
SHOWN = re.compile(r"[A-Z2-9]{4}(?:-[A-Z2-9]{4}){3}")


@pytest.fixture(autouse=True)
def wide_limits(settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {
        "entry": "10000/hour",
        "code": "10000/hour",
        "invitations-per-merchant": "50/day",
    }


@pytest.fixture
def merchant() -> Merchant:
    return make_merchant(phone_confirmed_at=timezone.now())


@pytest.fixture
def code(merchant: Merchant) -> str:
    return invitations.invite(merchant, "user:1")


def give(client: Client, code: str) -> Any:
    return client.post("/join", {"code": code})


def come_to_the_account(client: Client, code: str) -> Any:
    give(client, code)
    return client.post("/join/code", {"code": texted()})


def choose(client: Client, username: str = "wangfang", password: str = NEW, **more: str) -> Any:
    typed = {"username": username, "new_password": password, "again": password, **more}
    return client.post("/join/account", typed)


# ── the way in ──────────────────────────────────────────────────────────────────────────────────────────────


def test_invitation_text_name_and_password_lead_to_a_second_factor_and_nowhere_else(
    client: Client, code: str, merchant: Merchant
) -> None:
    before = Message.objects.count()
    assert give(client, code).headers["Location"] == "/join/code"
    text = Message.objects.first()
    assert text is not None
    assert (Message.objects.count() - before, text.template, text.phone) == (1, "join-code", merchant.phone)
    assert client.post("/join/code", {"code": texted()}).headers["Location"] == "/join/account"
    assert choose(client).headers["Location"] == "/account/secure"
    user = User.objects.get(username="wangfang")
    assert (user.merchant, user.phone, user.check_password(NEW)) == (merchant, merchant.phone, True)
    assert client.get("/account/secure").status_code == 200
    assert client.get("/account").headers["Location"] == "/account/secure"
    assert client.get("/account/app/new").status_code == 200
    assert Invitation.objects.get().account == user
    told = set(Message.objects.values_list("template", flat=True))
    assert {"invited", "joined", "new-browser"} <= told
    tags = set(AuditEvent.objects.values_list("tag", flat=True))
    assert {"portal:invitation:made", "portal:account:joined", "portal:account:signed-in"} <= tags


def test_the_registered_phone_is_confirmed_by_it(client: Client, code: str) -> None:
    Merchant.objects.update(phone_confirmed_at=None)
    come_to_the_account(client, code)
    assert Merchant.objects.get().phone_confirmed_at is not None


def test_the_code_may_be_typed_as_it_was_heard(client: Client, code: str) -> None:
    heard = code.lower().replace("-", " ").replace("5", "s")
    assert give(client, heard).headers["Location"] == "/join/code"


def test_the_session_key_changes_at_each_step_and_nothing_is_left_of_the_sitting(
    client: Client, code: str
) -> None:
    keys = [client.session.session_key]
    for step in (lambda: give(client, code), lambda: client.post("/join/code", {"code": texted()})):
        step()
        keys.append(client.session.session_key)
    choose(client)
    keys.append(client.session.session_key)
    assert len(set(keys)) == 4
    assert "entry" not in client.session


# ── wrong, used, over ───────────────────────────────────────────────────────────────────────────────────────


def use(code: str) -> None:
    invitation = invitations.find(code)
    assert invitation is not None
    invitations.accept(invitation, "first", "!")


def withdraw(code: str) -> None:
    assert invitations.withdraw(Invitation.objects.get(), "user:1")


def let_it_grow_old(code: str) -> None:
    Invitation.objects.update(expires_at=timezone.now())


def replace(code: str) -> None:
    invitations.invite(make_merchant(), "user:1")


def close_the_shop(code: str) -> None:
    Merchant.objects.update(status=Merchant.Status.CLOSED)


ENDS = [use, withdraw, let_it_grow_old, replace, close_the_shop]


@pytest.mark.parametrize("end", ENDS)
def test_a_code_that_is_over_is_answered_as_one_that_never_was(
    end: Callable[[str], None], client: Client, code: str
) -> None:
    end(code)
    never = written(draw())
    before = Message.objects.count()
    assert bare(give(client, code)).replace(code, never) == bare(give(Client(), never))
    assert Message.objects.count() == before


@pytest.mark.parametrize("end", ENDS)
def test_what_ends_between_two_steps_ends_the_sitting(
    end: Callable[[str], None], client: Client, code: str
) -> None:
    come_to_the_account(client, code)
    end(code)
    assert choose(client).headers["Location"] == "/join"
    assert not User.objects.filter(username="wangfang").exists()


def test_a_slip_of_the_pen_is_told_and_asks_the_database_nothing(
    client: Client, code: str, django_assert_num_queries: Any
) -> None:
    swapped = code[:-1] + ("A" if code[-1] != "A" else "B")
    client.get("/join")
    with django_assert_num_queries(0):
        assert give(client, swapped).status_code == 200
        assert give(client, "x").status_code == 200


def test_the_shield_counts_codes_of_invitations(client: Client, settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {"entry": "3/hour"}
    assert [give(client, written(draw())).status_code for _ in range(4)] == [200, 200, 200, 429]


# ── guards ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", ["/join/code", "/join/account"])
def test_no_page_opens_without_the_one_before(page: str, client: Client, code: str) -> None:
    for answer in (client.get(page), client.post(page, {"code": "123456", "username": "x"})):
        assert answer.headers["Location"] == "/join"
    give(client, code)
    assert choose(client).headers["Location"] == "/join/code"
    assert not User.objects.exists()


def test_wrong_codes_make_no_account_and_the_sixth_is_not_compared(client: Client, code: str) -> None:
    give(client, code)
    right = texted()
    for _ in range(5):
        assert client.post("/join/code", {"code": another(right)}).status_code == 200
    assert client.post("/join/code", {"code": right}).status_code == 200
    assert choose(client).headers["Location"] == "/join/code"


def test_a_code_to_a_phone_that_was_replaced_meanwhile_proves_nothing(client: Client, code: str) -> None:
    come_to_the_account(client, code)
    merchant = Merchant.objects.get()
    merchant.phone = "+8613800002054"
    merchant.save()
    assert choose(client).headers["Location"] == "/join/code"
    assert not User.objects.exists()


def test_a_held_phone_counts_nothing_and_is_not_texted(client: Client, code: str) -> None:
    Merchant.objects.update(phone_held_until=timezone.now() + timedelta(hours=72))
    before = Message.objects.count()
    assert give(client, code).headers["Location"] == "/join/code"
    page = client.get("/join/code")
    assert page.context["until"] is not None
    assert Message.objects.count() == before
    assert choose(client).headers["Location"] == "/join/code"


def test_a_phone_that_nobody_confirmed_for_long_still_joins(client: Client, code: str) -> None:
    long_ago = timezone.now() - timedelta(days=200)
    Merchant.objects.update(created_at=long_ago, phone_confirmed_at=None)
    assert come_to_the_account(client, code).headers["Location"] == "/join/account"


def test_while_a_shop_is_frozen_nobody_joins_it(client: Client, code: str) -> None:
    come_to_the_account(client, code)
    Merchant.objects.update(frozen_until=timezone.now() + timedelta(minutes=30))
    assert choose(client).headers["Location"] == "/join/code"
    assert client.get("/join/code").context["block"] == "frozen"
    assert not User.objects.exists()


def test_it_takes_too_long_after_twenty_minutes(client: Client, code: str) -> None:
    come_to_the_account(client, code)
    with time_machine.travel(timezone.now() + timedelta(minutes=20, seconds=1)):
        assert choose(client).headers["Location"] == "/join"


@pytest.mark.parametrize("name", ["owner", "OWNER", "x", "a b", "", "o" * 41])
def test_a_name_that_is_taken_or_none_is_an_error_and_costs_nothing(
    name: str, client: Client, code: str, merchant: Merchant
) -> None:
    make_owner(merchant)
    come_to_the_account(client, code)
    assert choose(client, name).context["form"].errors.keys() == {"username"}
    assert choose(client).headers["Location"] == "/account/secure"


@pytest.mark.parametrize("password", ["Kx83hf", "woaini5201314", "wangfang-Kx83hf", "13800002046abc"])
def test_a_poor_password_is_an_error_and_is_never_printed_back(
    password: str, client: Client, code: str
) -> None:
    come_to_the_account(client, code)
    answer = choose(client, password=password)
    assert answer.context["form"].errors.keys() == {"new_password"}
    assert password not in answer.content.decode()


def test_two_that_differ_are_an_error(client: Client, code: str) -> None:
    come_to_the_account(client, code)
    assert choose(client, again=PASSWORD).context["form"].errors.keys() == {"again"}


def test_fields_that_were_not_asked_for_change_nothing(client: Client, code: str) -> None:
    come_to_the_account(client, code)
    choose(
        client, is_staff="1", is_superuser="1", merchant="2", phone="+8613900000000", next="//evil.example"
    )
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.phone) == (False, False, make_merchant().phone)


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_make_one_account() -> None:
    code = invitations.invite(make_merchant(), "user:1")
    clients = [Client() for _ in range(4)]
    for client in clients:
        with time_machine.travel(timezone.now()):
            come_to_the_account(client, code)
    numbered = iter(range(100))

    def one() -> str:
        at = next(numbered)
        return str(choose(clients[at % len(clients)], f"person{at}").headers.get("Location", ""))

    answers = in_parallel(20, one, 10)
    assert answers.count("/account/secure") == 1
    assert User.objects.count() == SMSDevice.objects.count() == 1


# ── support invites ─────────────────────────────────────────────────────────────────────────────────────────


def agent(*rights: str) -> Client:
    staff = make_staff(superuser=False)
    staff.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return signed_in(staff)


def test_support_makes_an_invitation_that_is_shown_once(merchant: Merchant, client: Client) -> None:
    desk = agent("add_invitation", "view_invitation", "view_merchant")
    page = f"/admin/portal/merchant/{merchant.pk}/invite/"
    assert page in desk.get(f"/admin/portal/merchant/{merchant.pk}/change/").content.decode()
    assert Invitation.objects.count() == 0
    assert desk.get(page).status_code == 200
    shown = SHOWN.findall(desk.post(page).content.decode())
    assert len(shown) == 1
    assert not SHOWN.search(desk.get(page).content.decode())
    assert not SHOWN.search(desk.get("/admin/portal/invitation/").content.decode())
    assert give(client, shown[0]).headers["Location"] == "/join/code"
    assert Message.objects.filter(template="invited", phone=merchant.phone).count() == 0
    assert {message.phone for message in Message.objects.filter(template="invited")} == {merchant.phone}


def test_who_may_not_invite_does_not(merchant: Merchant) -> None:
    desk = agent("view_merchant", "view_invitation")
    page = f"/admin/portal/merchant/{merchant.pk}/invite/"
    assert page not in desk.get(f"/admin/portal/merchant/{merchant.pk}/change/").content.decode()
    assert (desk.get(page).status_code, desk.post(page).status_code) == (403, 403)
    assert Invitation.objects.count() == 0


def test_a_shop_without_a_phone_is_not_invited(merchant: Merchant) -> None:
    merchant.phone = ""
    merchant.save()
    agent("add_invitation").post(f"/admin/portal/merchant/{merchant.pk}/invite/")
    assert Invitation.objects.count() == 0


def test_the_day_has_five_invitations_for_a_shop(merchant: Merchant, settings: LazySettings) -> None:
    settings.REKEY_LIMITS = {}
    desk = agent("add_invitation")
    page = f"/admin/portal/merchant/{merchant.pk}/invite/"
    assert [desk.post(page).status_code for _ in range(6)] == [200] * 5 + [429]
    alive = Invitation.objects.filter(revoked_at__isnull=True)
    assert (Invitation.objects.count(), alive.count()) == (5, 1)


def test_support_withdraws_what_nobody_has_used(code: str, client: Client) -> None:
    desk = agent("add_invitation", "view_invitation")
    row = Invitation.objects.get()
    listed = {"action": "withdraw", "_selected_action": [row.pk]}
    desk.post("/admin/portal/invitation/", listed)
    assert give(client, code).status_code == 200
    assert SESSION_KEY not in client.session
    assert AuditEvent.objects.filter(tag="portal:invitation:withdrawn").count() == 1
