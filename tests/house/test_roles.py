"""What each role may do is what the reviewed page says (T41)."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from portal.roles import Rights, Role, granted
from tests import roles

ROOMS = ("portal", "terminals", "recovery")
TABLES: dict[str, Rights] = {room: import_module(f"{room}.rights").RIGHTS for room in ROOMS}


@pytest.mark.django_db
def test_T41_the_reviewed_page_is_what_the_site_answers() -> None:
    assert roles.matrix() == roles.PAGE.read_text("utf-8"), "python -m tests.roles, and have it reviewed"


def test_every_model_of_the_desk_has_a_row() -> None:
    registered = {(model._meta.app_label, model._meta.model_name) for model in admin.site._registry}
    assert registered <= {(room, model) for room, table in TABLES.items() for model in table}


@pytest.mark.parametrize("room", ROOMS)
def test_every_row_is_about_a_right_that_exists(room: str) -> None:
    ours = apps.get_app_config(room).get_models()
    rights = {f"{verb}_{model._meta.model_name}" for model in ours for verb in roles.STOCK}
    rights |= {
        code for model in apps.get_app_config(room).get_models() for code, _ in model._meta.permissions
    }
    assert {code for _, code in granted(TABLES[room])} <= rights


@pytest.mark.django_db
def test_a_migration_gives_what_is_missing_and_takes_what_somebody_added() -> None:
    agent = Group.objects.get(name=Role.AGENT)
    before = set(agent.permissions.values_list("codename", flat=True))
    assert "change_ticket" in before
    agent.permissions.remove(Permission.objects.get(codename="change_ticket"))
    agent.permissions.add(Permission.objects.get(codename="change_merchant"))
    Group.objects.get(name=Role.EDITOR).delete()
    call_command("migrate", verbosity=0)
    assert set(agent.permissions.values_list("codename", flat=True)) == before
    assert Group.objects.get(name=Role.EDITOR).permissions.count() == 11


@pytest.mark.django_db
def test_no_role_reaches_rights_people_of_staff_or_the_past() -> None:
    held = set(Permission.objects.filter(group__isnull=False).values_list("codename", flat=True))
    never = {"add_user", "delete_user", "add_auditevent", "change_auditevent", "delete_auditevent"}
    assert not held & never
    assert not [code for code in held if code.startswith("delete_") and code not in DELETES]
    assert not Permission.objects.filter(group__isnull=False).exclude(content_type__app_label__in=ROOMS)


# A lost second factor of an owner, and lines of the contact directory.
DELETES = {
    *("delete_smsdevice", "delete_totpdevice", "delete_passkey"),
    *("delete_directorynumber", "delete_directorykey"),
}
