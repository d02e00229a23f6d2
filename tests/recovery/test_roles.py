"""Roles are given when an account is made, and superusers are not for daily work."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from portal.audit import Tag
from portal.codes import derive_code
from portal.models import AuditEvent, Challenge, User
from portal.roles import Role
from portal.secrets import pepper
from recovery.models import Ticket
from tests.cast import PASSWORD, make_member, make_staff, signed_in
from tests.recovery.desk import in_english
from tests.recovery.visitor import Visitor

pytestmark = pytest.mark.django_db


def enter(person: User) -> Any:
    """Sign in at the door of the desk, by its two pages."""
    client = in_english(Visitor().client)
    client.post("/admin/login/", {"username": person.username, "password": PASSWORD})
    challenge = Challenge.objects.latest("created_at")
    return client.post(
        "/admin/login/code/", {"code": derive_code(pepper(), challenge.id, challenge.purpose)}, follow=True
    )


def test_T41_a_superuser_who_signs_in_opens_one_case_a_day_and_is_on_record_each_time() -> None:
    person = make_staff("chief")
    for _again in range(2):
        assert "Superuser: not for daily work" in enter(person).content.decode()
        Challenge.objects.all().delete()
    assert [event.facts for event in AuditEvent.objects.filter(tag=Tag.SUPERUSER_IN)] == [
        {"by": f"user:{person.pk}"}
    ] * 2
    assert Ticket.objects.count() == 1


def test_an_agent_who_signs_in_opens_none() -> None:
    assert "Superuser" not in enter(make_member("agent", Role.AGENT)).content.decode()
    assert not Ticket.objects.exists()


def test_a_support_account_is_made_with_its_roles(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("enrollstaff", "zhou", "--role", "agent", "--role", "approver")
    zhou = User.objects.get(username="zhou")
    assert {group.name for group in zhou.groups.all()} == {Role.AGENT, Role.APPROVER}
    assert zhou.has_perm("recovery.change_ticket") and not zhou.is_superuser
    with pytest.raises(CommandError):
        call_command("enrollstaff", "bank", "--role", "partner")


def test_the_demos_member_of_staff_is_an_agent_and_no_more(settings: Any, tmp_path: Any) -> None:
    settings.REKEY_VAR = tmp_path
    call_command("loaddemo")
    staff = User.objects.get(username="staff")
    assert staff.get_all_permissions() == make_member("agent", Role.AGENT).get_all_permissions()


def test_a_superuser_gives_roles_by_their_names() -> None:
    chief, person = signed_in(make_staff("chief")), make_member("zhou")
    page = in_english(chief).get(f"/admin/portal/user/{person.pk}/change/").content.decode()
    assert [role for role in Role if f">{role.label}</option>" not in page] == []
    chosen = page.split(f">{Role.AUDITOR.label}</option>")[0].rsplit('value="', 1)[1].split('"')[0]
    form = {"username": "zhou", "is_active": "on", "is_staff": "on", "new_phone": "", "groups": chosen}
    assert chief.post(f"/admin/portal/user/{person.pk}/change/", form).status_code == 302
    assert [group.name for group in person.groups.all()] == [Role.AUDITOR]
