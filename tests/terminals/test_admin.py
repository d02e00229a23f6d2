"""The support desk's view of terminals and commands: everything that happened, nothing that is secret."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from terminals import commands, receipts
from terminals.models import Command, Operator, PairingCode, Terminal, TerminalModel
from tests.cast import PairedTill, make_owner, make_staff, make_terminal, signed_in
from tests.terminals.units import Unit
from tests.terminals.work import delivered

pytestmark = pytest.mark.django_db
SECRET = {
    "sealed",
    "token",
    "sign_key",
    "enc_key",
    "offline_key",
    "pending_offline_key",
    "digest",
    "jwk",
    "token_digest",
}
KEPT = [Terminal, TerminalModel, Operator, Command]


@pytest.fixture
def desk(till: PairedTill) -> Client:
    """The support desk, signed in with both factors, reading English."""
    client = signed_in(make_staff())
    client.get("/lang/en?next=/home")
    return client


def page(name: str, *args: Any) -> str:
    """The address of an admin page of this room; the stock ones read an id as quoted."""
    return reverse(
        f"admin:terminals_{name}", args=[quote(one) for one in args] if "_change" in name else args
    )


def new_code(desk: Client, *terminals: Terminal) -> Any:
    """Ask for a pairing code through the list's action."""
    chosen = [terminal.pk for terminal in terminals]
    return desk.post(page("terminal_changelist"), {"action": "new_pairing_code", "_selected_action": chosen})


class TestSecrets:
    def test_no_registered_admin_has_a_field_for_a_secret(self) -> None:
        for model, registered in admin.site._registry.items():
            if model._meta.app_label == "terminals":
                shown = {str(name) for name in [*(registered.fields or ()), *registered.list_display]}
                assert shown and not shown & SECRET, model

    def test_nothing_sealed_or_signed_is_on_any_page(self, desk: Client, till: PairedTill) -> None:
        command = delivered(till)
        hidden = [command.sealed, command.token, str(till.sign_key["x"]), "13800002046"]
        addresses = [page(f"{name}_changelist") for name in ("terminal", "command", "operator", "issuerkey")]
        addresses += [page("command_change", command.pk), page("terminal_change", till.terminal.pk)]
        for address in addresses:
            answer = desk.get(address)
            assert answer.status_code == 200
            assert not any(secret in answer.content.decode() for secret in hidden), address


class TestWhoMayLook:
    @pytest.mark.parametrize("second_factor", [True, False])
    def test_owners_and_staff_without_a_second_factor_stay_outside(
        self, till: PairedTill, second_factor: bool
    ) -> None:
        user = make_owner() if second_factor else make_staff()
        answer = signed_in(user, second_factor=second_factor).get(page("terminal_changelist"))
        assert answer.status_code == 302 and reverse("admin:login") in answer["Location"]

    def test_staff_who_may_only_look_make_no_codes(self, till: PairedTill) -> None:
        looker = make_staff(superuser=False)
        looker.user_permissions.add(*_view_permissions())
        client = signed_in(looker)
        assert client.get(page("terminal_changelist")).status_code == 200
        new_code(client, till.terminal)
        assert not PairingCode.objects.exists()


def _view_permissions() -> Any:
    return Permission.objects.filter(codename__startswith="view_", content_type__app_label="terminals")


class TestHistory:
    @pytest.mark.parametrize("model", KEPT)
    def test_nothing_that_history_hangs_on_can_be_deleted(self, desk: Client, model: Any) -> None:
        registered = admin.site._registry[model]
        request = desk.get(page(f"{model._meta.model_name}_changelist")).wsgi_request
        assert not registered.has_delete_permission(request)
        assert "delete_selected" not in registered.get_actions(request)

    def test_a_command_is_shown_with_its_timeline_and_its_receipts(
        self, desk: Client, till: PairedTill
    ) -> None:
        command = delivered(till)
        commands.mark_fetched([command.jti or ""], command.created_at)
        receipts.accept(till.terminal, [till.receipt(command.token)])
        shown = desk.get(page("command_change", command.pk)).content.decode()
        for word in ("queued", "fetched", "applied", till.terminal.pk, "ok"):
            assert word in shown

    def test_a_command_cannot_be_changed_or_added_by_hand(self, desk: Client, till: PairedTill) -> None:
        command = delivered(till)
        assert desk.post(page("command_change", command.pk), {"state": "applied"}).status_code == 403
        assert desk.get(page("command_add")).status_code == 403

    def test_the_state_of_a_terminal_is_not_a_field(self, desk: Client, till: PairedTill) -> None:
        shown = desk.get(page("terminal_change", till.terminal.pk)).content.decode()
        assert 'name="state"' not in shown and 'name="number"' in shown


class TestPairing:
    def test_a_code_is_made_and_shown_once_with_its_qr(self, desk: Client) -> None:
        terminal = make_terminal()
        answer = new_code(desk, terminal)
        code, shown = answer.context_data["code"], answer.content.decode()
        assert code.code in shown and code.digits in shown and "<svg" in shown
        assert Unit().pair(code.code).terminal.pk == terminal.pk

    def test_codes_are_made_for_one_terminal_at_a_time(self, desk: Client, till: PairedTill) -> None:
        answer = new_code(desk, till.terminal, make_terminal())
        assert answer.status_code == 302 and not PairingCode.objects.exists()

    def test_a_stopped_terminal_gets_none(self, desk: Client, till: PairedTill) -> None:
        Terminal.objects.update(state=Terminal.State.REVOKED)
        assert new_code(desk, till.terminal).status_code == 302 and not PairingCode.objects.exists()


def test_terminals_are_found_by_what_a_caller_reads_out(desk: Client, till: PairedTill) -> None:
    make_terminal(name="二楼")
    for read_out in (till.terminal.number.lower(), till.terminal.serial, till.terminal.store.merchant.number):
        shown = desk.get(page("terminal_changelist"), {"q": read_out}).content.decode()
        assert till.terminal.number in shown
