"""The partner's desk: to attest a caller, to be the second person, and never to reset."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_otp.oath import totp

from portal import stepup
from portal.models import User
from portal.roles import Role
from recovery.desk import assisted, attesting
from recovery.desk.verification import Refused
from recovery.models import Verification
from terminals import requests
from terminals.models import Command
from tests.cast import PASSWORD, PairedTill, make_owner, make_partner, make_staff, signed_in
from tests.recovery.desk import Caller, Desk, in_english, make_person, make_ticket, now
from tests.recovery.visitor import make_shop

pytestmark = pytest.mark.django_db
HOME = "/partner"


@pytest.fixture(autouse=True)
def wide_shield(settings: Any) -> None:
    settings.REKEY_LIMITS = {"caller": "1000/hour"}


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


@pytest.fixture
def desk() -> Desk:
    return Desk(make_person("agent"))


@pytest.fixture
def partner() -> User:
    return make_partner()


@pytest.fixture
def client(partner: User) -> Client:
    return in_english(signed_in(partner))


@pytest.fixture
def row(desk: Desk, till: PairedTill) -> Verification:
    return desk.begin(make_ticket(till.terminal.store.merchant, desk.person), till.terminal)


@pytest.fixture
def asked(desk: Desk, till: PairedTill) -> Verification:
    row = desk.begin(make_ticket(till.terminal.store.merchant, desk.person), till.terminal, "00")
    desk.do(row, "text")
    Caller().type_texted(row)
    desk.read_screen(row, requests.open_request(till.terminal, "00"))
    return row


def press(client: Client, row: Verification, do: str, **more: str) -> str:
    """Press one of the keys; the page that comes then."""
    address = reverse("recovery:partner_decide", args=[row.pk])
    return str(client.post(address, {"do": do, **more}, follow=True).content.decode())


def page(client: Client, row: Verification) -> str:
    return client.get(reverse("recovery:partner_ticket", args=[row.ticket.number])).content.decode()


def shown(client: Client, row: Verification) -> str:
    found = re.search(r'name="shown" value="([0-9a-f]{64})"', page(client, row))
    return found[1] if found else ""


# ── to attest ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_acquirer_attests_a_caller_and_the_agent_sees_it(
    client: Client, partner: User, desk: Desk, row: Verification
) -> None:
    assert row.ticket.number in client.get(HOME).content.decode()
    assert "Noted. The agent sees it at once." in press(client, row, "attest")
    assert (row.statements.get().by, row.statements.get().what) == (partner, "attested")
    assert "The acquirer attests it" in desk.look(row)
    assert "I attest it" not in page(client, row)
    press(client, row, "attest")
    assert row.statements.count() == 1


def test_an_attestation_alone_opens_nothing(client: Client, desk: Desk, row: Verification) -> None:
    press(client, row, "attest")
    assert "Not enough yet" in desk.look(row)
    desk.do(row, "start")
    assert Command.objects.count() == 0


def test_who_lacks_the_role_or_is_staff_attests_nothing(partner: User, row: Verification) -> None:
    partner.groups.clear()
    member = make_person("second")
    member.groups.add(Group.objects.get(name=Role.PARTNER))
    for person in (partner, member, make_owner(username="other")):
        with pytest.raises(Refused):
            attesting.attest(row, User.objects.get(pk=person.pk), now())
    partner.groups.set(Group.objects.filter(name=Role.PARTNER))
    with pytest.raises(Refused, match="stale"):
        attesting.attest(row, User.objects.get(pk=partner.pk), now() - stepup.WINDOW_S)
    assert not row.statements.exists()


# ── to be the second person ─────────────────────────────────────────────────────────────────────────────────


def test_the_acquirer_is_the_second_person_of_00(
    client: Client, partner: User, desk: Desk, asked: Verification
) -> None:
    desk.do(asked, "start")
    assert Command.objects.get().state == "pending_approval"
    assert "Approved." in press(client, asked, "approve", shown=shown(client, asked))
    command = Command.objects.get()
    assert (command.state, command.approved_by) == ("queued", f"user:{partner.pk}")


def test_the_acquirer_says_no(client: Client, desk: Desk, asked: Verification) -> None:
    desk.do(asked, "start")
    press(client, asked, "deny")
    assert Command.objects.get().state == "cancelled"


def test_who_attested_is_not_the_second_person_as_well(
    client: Client, partner: User, desk: Desk, asked: Verification
) -> None:
    press(client, asked, "attest")
    desk.do(asked, "start")
    assert shown(client, asked) == ""
    asked.refresh_from_db()
    digest = assisted.digest_of(asked, Command.objects.get())
    with pytest.raises(Refused, match="attested"):
        assisted.approve(asked, partner, now(), digest)
    colleague = make_partner(username="colleague")
    User.objects.filter(pk=colleague.pk).update(phone="")
    press(in_english(signed_in(colleague)), asked, "approve", shown=digest)
    assert Command.objects.get().state == "queued"


def test_a_partners_right_is_no_right_of_staff(asked: Verification, desk: Desk) -> None:
    desk.do(asked, "start")
    member = make_person("second")
    member.groups.set(Group.objects.filter(name=Role.PARTNER))
    asked.refresh_from_db()
    with pytest.raises(Refused, match="may_not"):
        assisted.approve(asked, member, now(), assisted.digest_of(asked, Command.objects.get()))


def test_a_decision_wants_a_fresh_proof_and_the_app_gives_it(
    client: Client, partner: User, row: Verification
) -> None:
    session = client.session
    session[stepup.PROVED] = now() - stepup.WINDOW_S - 1
    session.save()
    address = reverse("recovery:partner_decide", args=[row.pk])
    there = client.post(address, {"do": "attest"}).headers["Location"]
    assert there.startswith("/partner/confirm?next=")
    assert not row.statements.exists()
    device = partner.totpdevice_set.get()
    code = f"{totp(base64.b32decode(device.seed)):06}"
    assert client.post(there, {"code": code}).headers["Location"].endswith(row.ticket.number)
    press(client, row, "attest")
    assert row.statements.exists()


# ── the door ────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_door_admits_its_own_and_nobody_else() -> None:
    make_partner(app=False)
    make_owner(app=False)
    make_staff()
    doors = {"bank": "/partner/sign-in", "owner": "/sign-in", "staff": "/admin/login/"}
    for name in doors:
        for whose, door in doors.items():
            answer = Client().post(door, {"username": name, "password": PASSWORD})
            assert (answer.status_code == 302) == (name == whose), (name, door)


def test_pages_of_the_desk_are_closed_to_owners_staff_and_half_signed_in(partner: User) -> None:
    for person in (make_owner(), make_staff()):
        assert signed_in(person).get(HOME).status_code == 403
    assert (
        signed_in(partner, second_factor=False).get(HOME).headers["Location"].startswith("/partner/sign-in")
    )
    assert Client().get(HOME).headers["Location"] == "/partner/sign-in?next=/partner"
    assert signed_in(partner).get("/home").status_code == 403


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("also", [{"is_staff": True}, {"is_superuser": True}])
def test_the_database_refuses_a_partner_who_is_somebody_else_too(also: dict[str, bool]) -> None:
    with pytest.raises(IntegrityError):
        User.objects.filter(pk=make_partner().pk).update(**also)


def test_a_partners_account_is_made_with_two_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("enrollstaff", "bank", "--partner", "898")
    bank = User.objects.get(username="bank")
    assert (bank.acquirer_code, bank.is_staff) == ("898", False)
    assert bank.has_perm("recovery.attest_verification") and not bank.has_perm("recovery.view_ticket")
    for wrong in (
        ["--partner", "89"],
        ["--partner", "898", "--role", "agent"],
        ["--partner", "898", "--superuser"],
    ):
        with pytest.raises(CommandError):
            call_command("enrollstaff", "wrong", *wrong)


def test_a_senior_agent_touches_no_account_of_a_partner(partner: User) -> None:
    senior = make_staff("senior", superuser=False)
    senior.groups.set(Group.objects.filter(name=Role.SENIOR))
    address = reverse("admin:portal_user_change", args=[partner.pk])
    assert signed_in(senior).post(address, {"new_phone": "13800002099"}).status_code == 403


@pytest.mark.parametrize("asked_for", ["", "\x00", "%", "😀" * 40, "x" * 5000, "' OR 1=1 --", "page"])
def test_oddities_find_nothing_and_break_nothing(client: Client, row: Verification, asked_for: str) -> None:
    for name in ("partner", "partner_merchants"):
        with CaptureQueriesContext(connection) as queries:
            found = client.get(reverse(f"recovery:{name}"), {"q": asked_for, "page": asked_for or "-1"})
        assert found.status_code == 200
        assert len(queries) <= 12
