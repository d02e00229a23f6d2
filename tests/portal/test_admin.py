"""The support desk: behind two pages, masked phones, no secrets, nothing raw to edit."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.oath import totp

from portal import changes, recovery_codes
from portal.admin_site import RekeyAdminSite, change_address
from portal.audit import Tag, record
from portal.devices import SMSDevice, TOTPDevice
from portal.entry import invitations
from portal.messaging.outbox import phone_subject, queue_message
from portal.models import (
    Address,
    AddressChange,
    Allowance,
    AuditEvent,
    Challenge,
    Merchant,
    Message,
    Passkey,
    RecoveryCode,
    User,
)
from portal.paper import draw
from tests.cast import PASSWORD, make_merchant, make_owner, make_staff, make_store, signed_in
from tests.portal.test_devices import code_now

pytestmark = pytest.mark.django_db

PHONE = "+8613800002046"


@pytest.fixture
def desk() -> Client:
    return signed_in(make_staff())


def list_page(model: Any) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


@pytest.fixture
def world() -> dict[str, Any]:
    """One row of everything the portal shows."""
    merchant = make_merchant()
    owner = make_owner(merchant, app=False)
    message = queue_message("code", PHONE, "en")
    Message.objects.update(state="failed", error="21614")
    return {
        "merchant": merchant, "store": make_store(merchant), "owner": owner, "message": message,
        "phone": SMSDevice.objects.get(user=owner), "app": TOTPDevice.objects.create(user=owner, name="app"),
        "event": record(Tag.SIGN_IN, actor="user:1", merchant=merchant), "code": paper_code(merchant),
        "address": Address.objects.create(merchant=merchant, kind="phone", value=PHONE, digest="0" * 64),
        "change": phone_change(merchant), "invitation": invitations.keep(merchant, draw(), "user:1"),
        "passkey": Passkey.objects.create(user=owner, name="my phone", credential_id="AAAA", public_key=b"x"),
    }  # fmt: skip


def paper_code(merchant: Merchant) -> RecoveryCode:
    recovery_codes.make(merchant, "user:1")
    return RecoveryCode.objects.all()[0]


def phone_change(merchant: Merchant) -> AddressChange:
    changes.made_at_desk(merchant, "+8613900003057", "user:1")
    return AddressChange.objects.get()


SHOWN = ["merchant", "owner", "message", "phone", "app", "event", "code", "address", "change", "passkey"]
SHOWN += ["invitation"]


# ── the door ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_admin_is_ours_and_wants_a_second_factor() -> None:
    assert isinstance(admin.site, RekeyAdminSite)
    assert signed_in(make_staff(), second_factor=False).get("/admin/").status_code == 302


def test_owners_have_no_business_here() -> None:
    assert signed_in(make_owner()).get("/admin/").status_code == 302


def test_one_who_is_in_is_not_asked_again(desk: Client) -> None:
    assert desk.get("/admin/login/").headers["Location"] == "/admin/"


def test_next_leads_back_to_the_page_one_wanted(client: Client) -> None:
    staff = make_staff()
    app = TOTPDevice.objects.create(user=staff, name="app")
    asked = client.get("/admin/portal/merchant/").headers["Location"]
    form = {"username": "staff", "password": PASSWORD, "next": client.get(asked).context["next"]}
    client.post("/admin/login/", form)
    answer = client.post("/admin/login/code/", {"code": code_now(app)})
    assert answer.headers["Location"] == "/admin/portal/merchant/"


# ── what is shown ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SHOWN)
def test_lists_and_rows_open_and_show_no_phone_and_no_secret(
    name: str, world: dict[str, Any], desk: Client
) -> None:
    row = world[name]
    for page in (
        list_page(row),
        change_address(row),
        f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/history/",
    ):
        answer = desk.get(page)
        assert answer.status_code == 200, page
        text = answer.content.decode()
        assert "13800002046" not in text
        assert world["app"].seed not in text
        assert "argon2" not in text


def test_challenges_and_counters_are_not_there_at_all() -> None:
    assert Challenge not in admin.site._registry
    assert Allowance not in admin.site._registry


def test_no_registered_form_has_a_field_for_a_secret(world: dict[str, Any], rf: Any) -> None:
    request = rf.get("/")
    request.user = make_staff()
    rows = {type(row): row for row in world.values()}
    secret = re.compile(r"password|seed|pepper|secret|challenge|callback_key|digest|^phone$")
    for model, page in admin.site._registry.items():
        if model._meta.app_label == "portal":
            form: Any = page.get_form(request, obj=rows[model], change=True)
            assert not [name for name in form.base_fields if secret.search(name)], model


def test_a_failed_text_says_why_in_plain_words(world: dict[str, Any], desk: Client) -> None:
    page = desk.get(list_page(Message), headers={"Accept-Language": "en"}).content.decode()
    assert "landline" in page
    assert "138****2046" in page


def test_a_merchant_is_found_by_the_whole_phone(world: dict[str, Any], desk: Client) -> None:
    for query, found in (
        ("138 0000 2046", 1),
        ("13800002047", 0),
        ("福满楼", 1),
        ("2046", 0),
        ("898440158120031", 1),
    ):
        page = desk.get(list_page(Merchant), {"q": query})
        assert page.context["cl"].result_count == found, query


def test_a_phone_that_cannot_be_texted_is_marked_on_its_merchant(world: dict[str, Any], desk: Client) -> None:
    record(Tag.PHONE_UNREACHABLE, actor="system", subject=phone_subject(PHONE), error="30005")
    page = desk.get(change_address(world["merchant"]), headers={"Accept-Language": "en"}).content.decode()
    assert "does not exist" in page


# ── what can be done ────────────────────────────────────────────────────────────────────────────────────────


def merchant_form(**changes: Any) -> dict[str, Any]:
    return {
        "number": "898440158120031", "legal_name": "福满楼", "status": "active", "new_phone": "",
        "stores-TOTAL_FORMS": 0, "stores-INITIAL_FORMS": 0, **changes,
    }  # fmt: skip


def test_a_new_phone_is_read_stored_sealed_and_put_on_record(world: dict[str, Any], desk: Client) -> None:
    answer = desk.post(change_address(world["merchant"]), merchant_form(new_phone="１３８ ０００１ ２０９９"))
    assert answer.status_code == 302
    merchant = Merchant.objects.get()
    assert merchant.phone == "+8613800012099"
    event = AuditEvent.objects.latest("id")
    assert event.tag == "portal:merchant:phone-changed"
    assert "2099" not in repr(event.facts)
    history = desk.get(f"/admin/portal/merchant/{merchant.pk}/history/").content.decode()
    assert "13800012099" not in history


def test_an_empty_phone_field_keeps_the_old_phone(world: dict[str, Any], desk: Client) -> None:
    desk.post(change_address(world["merchant"]), merchant_form(legal_name="福满楼二店"))
    merchant = Merchant.objects.get()
    assert (merchant.phone, merchant.legal_name) == (PHONE, "福满楼二店")
    assert AuditEvent.objects.latest("id").facts == {"fields": ["legal_name"], "new": False}


def test_a_phone_that_is_none_is_a_form_error(world: dict[str, Any], desk: Client) -> None:
    answer = desk.post(change_address(world["merchant"]), merchant_form(new_phone="010-62345678"))
    assert answer.status_code == 200
    assert Merchant.objects.get().phone == PHONE


def test_a_merchant_can_be_added(desk: Client) -> None:
    answer = desk.post("/admin/portal/merchant/add/", merchant_form(new_phone="13800002046"))
    assert answer.status_code == 302
    assert Merchant.objects.get().phone == PHONE


def test_an_account_can_be_added_and_given_a_phone(desk: Client) -> None:
    added = {"username": "li", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    page = desk.post("/admin/portal/user/add/", added).headers["Location"]
    user = User.objects.get(username="li")
    assert page == change_address(user)
    form = {"username": "li", "is_active": "on", "new_phone": "13800002046", "merchant": make_merchant().pk}
    assert desk.post(page, form).status_code == 302
    user.refresh_from_db()
    assert (user.phone, user.check_password(PASSWORD), user.is_staff) == (PHONE, True, False)


@pytest.mark.parametrize("name", ["merchant", "owner", "message", "event"])
def test_what_history_hangs_on_is_not_deleted(name: str, world: dict[str, Any], desk: Client) -> None:
    row = world[name]
    page = f"/admin/portal/{row._meta.model_name}/{row.pk}/delete/"
    assert desk.post(page, {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    desk.post(list_page(row), action)
    assert type(row).objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("name", ["message", "event", "app", "phone"])
def test_what_the_code_writes_is_not_edited(name: str, world: dict[str, Any], desk: Client) -> None:
    assert desk.post(change_address(world[name]), {"state": "delivered", "name": "x"}).status_code == 403


def test_a_lost_second_factor_is_taken_away_on_record(world: dict[str, Any], desk: Client) -> None:
    desk.post(f"/admin/portal/totpdevice/{world['app'].pk}/delete/", {"post": "yes"})
    assert not TOTPDevice.objects.exists()
    assert AuditEvent.objects.latest("id").tag == "portal:account:second-factor-removed"


def test_staff_who_are_not_superusers_hand_out_no_rights(world: dict[str, Any]) -> None:
    clerk = make_staff("clerk", superuser=False)
    clerk.user_permissions.set(Permission.objects.filter(content_type__app_label="portal"))
    chief, client = make_staff("chief"), signed_in(clerk)
    form = {"username": "clerk", "is_active": "on", "is_staff": "on", "is_superuser": "on", "new_phone": ""}
    assert client.post(change_address(clerk), form).status_code == 302
    clerk.refresh_from_db()
    assert not clerk.is_superuser
    assert client.post(change_address(chief), form).status_code == 403
    assert client.post(f"/admin/portal/user/{chief.pk}/password/", {"password1": "x"}).status_code == 403


# ── enrollstaff ─────────────────────────────────────────────────────────────────────────────────────────────


def enrol(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[str, str]:
    call_command("enrollstaff", *args)
    told = capsys.readouterr().out
    password = re.search(r"Password:\s+(\S+)", told)
    seed = re.search(r"secret=([A-Z2-7]{32})", told)
    assert password
    assert seed
    return password[1], seed[1]


def test_a_support_account_is_made_with_two_secrets_that_work(
    capsys: pytest.CaptureFixture[str], client: Client
) -> None:
    password, seed = enrol(capsys, "zhou")
    client.post("/admin/login/", {"username": "zhou", "password": password})
    answer = client.post("/admin/login/code/", {"code": f"{totp(base64.b32decode(seed)):06}"})
    assert answer.headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_renewing_replaces_both_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    first = enrol(capsys, "zhou", "--superuser")
    second = enrol(capsys, "zhou", "--renew")
    assert not {*first} & {*second}
    user = User.objects.get(username="zhou")
    assert (user.is_superuser, user.check_password(second[0]), user.check_password(first[0])) == (
        True,
        True,
        False,
    )
    assert TOTPDevice.objects.get(user=user).seed == second[1]


def test_an_account_is_not_overwritten_by_accident(capsys: pytest.CaptureFixture[str]) -> None:
    make_owner()
    enrol(capsys, "zhou")
    for args in (["zhou"], ["nobody", "--renew"], ["owner", "--renew"]):
        with pytest.raises(CommandError):
            call_command("enrollstaff", *args)


# ── nobody reaches beside or above themselves ───────────────────────────────────────────────────────────────


@pytest.fixture
def agent() -> Client:
    """Support staff with every right over people and second factors that Django can give."""
    staff = make_staff(username="agent", superuser=False)
    rights = Permission.objects.filter(content_type__model__in=["user", "smsdevice", "totpdevice"])
    staff.user_permissions.set(rights)
    return signed_in(staff)


def test_an_agent_sets_nobodys_password(agent: Client, world: dict[str, Any]) -> None:
    for person in (world["owner"], make_staff(username="colleague", superuser=False)):
        before = person.password
        posted = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
        assert agent.post(f"/admin/portal/user/{person.pk}/password/", posted).status_code == 403
        person.refresh_from_db()
        assert person.password == before


def test_a_superuser_sets_a_password_on_record(desk: Client, world: dict[str, Any]) -> None:
    desk.post(f"/admin/portal/user/{world['owner'].pk}/password/", {"password1": "", "password2": ""})
    assert AuditEvent.objects.filter(tag=Tag.PASSWORD_SET, subject=f"user:{world['owner'].pk}").exists()


def test_an_agent_may_not_change_a_colleague(agent: Client) -> None:
    colleague = make_staff(username="colleague", superuser=False)
    assert agent.post(change_address(colleague), {"new_phone": "13800002099"}).status_code == 403


def test_an_agent_touches_no_second_factor_of_staff(agent: Client) -> None:
    colleague = make_staff(username="colleague", superuser=True)
    app = TOTPDevice.objects.create(user=colleague, name="app")
    assert agent.post(f"/admin/portal/totpdevice/{app.pk}/delete/", {"post": "yes"}).status_code == 403
    SMSDevice.objects.filter(user=colleague).delete()
    added = {"user": colleague.pk, "name": "mine", "confirmed": "on"}
    assert agent.post("/admin/portal/smsdevice/add/", added).status_code == 403
    assert not SMSDevice.objects.filter(user=colleague, name="mine").exists()
