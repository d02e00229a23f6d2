"""The inspector and the alerts' desk: why nothing happens on a terminal, and who did what about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from portal.admin_site import change_address
from portal.audit import Tag
from portal.models import AuditEvent
from terminals import commands, delivery, inbox, inspection
from terminals.admin.inspector import ANSWERS, PLACES, REFUSALS, address
from terminals.alerts import raise_alert
from terminals.models import Command, Terminal, TerminalAlert, TerminalStatus
from tests.cast import PairedTill, make_owner, make_staff, signed_in
from tests.terminals.work import delivered, fresh, reset, tokens_in_inbox

State = Command.State
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(till: PairedTill) -> Client:
    """The support desk, reading English."""
    client = signed_in(make_staff())
    client.get("/lang/en?next=/home")
    return client


def look(till: PairedTill) -> inspection.Queue:
    """What the inspector says now."""
    till.terminal.refresh_from_db()
    return inspection.look(till.terminal, timezone.now())


def called(till: PairedTill, ago: int = 5, **facts: Any) -> None:
    """The terminal called so many seconds ago."""
    facts = {"last_seen_at": timezone.now() - timedelta(seconds=ago), "last_status": 204, **facts}
    TerminalStatus.objects.update_or_create(terminal=till.terminal, defaults=facts)


def age(command: Command, **ago: int) -> None:
    """As if these moments had been so many seconds ago."""
    moments = {name: timezone.now() - timedelta(seconds=seconds) for name, seconds in ago.items()}
    Command.objects.filter(pk=command.pk).update(**moments)


class TestVerdicts:
    def test_an_empty_queue(self, till: PairedTill) -> None:
        called(till)
        assert look(till).verdict == "empty"

    def test_a_fresh_command_is_on_its_way(self, till: PairedTill) -> None:
        called(till)
        delivered(till)
        assert look(till).verdict == "moving"

    def test_nobody_signs(self, till: PairedTill) -> None:
        called(till)
        age(reset(till), created_at=60)
        assert look(till).verdict == "unsigned"

    def test_the_inbox_has_lost_it(self, till: PairedTill) -> None:
        called(till)
        delivered(till)
        inbox.clear(till.terminal.pk)
        assert (look(till).verdict, look(till).entries[0].place) == ("missing", "missing")

    def test_the_terminal_does_not_call(self, till: PairedTill) -> None:
        called(till, ago=7200)
        delivered(till)
        assert look(till).verdict == "offline"

    def test_it_calls_and_does_not_take_it(self, till: PairedTill) -> None:
        age(delivered(till), pushed_at=300)
        called(till, last_status=429)
        queue = look(till)
        assert (queue.verdict, queue.call.status) == ("ignored", 429)

    def test_it_is_busy(self, till: PairedTill) -> None:
        called(till)
        command = delivered(till)
        commands.deferred(command, timezone.now() + timedelta(minutes=1))
        assert (look(till).verdict, look(till).entries[0].place) == ("deferred", "held")

    def test_it_has_it_and_says_nothing(self, till: PairedTill) -> None:
        command = delivered(till)
        commands.mark_fetched([command.jti or ""], timezone.now() - timedelta(minutes=5))
        called(till)
        assert look(till).verdict == "silent"

    def test_redis_is_away(self, till: PairedTill, settings: Settings) -> None:
        called(till)
        delivered(till)
        settings.REDIS_URL = "unix:///nowhere/redis.sock"
        queue = look(till)
        assert (queue.verdict, queue.redis, queue.entries[0].place) == ("redis", False, "unknown")

    def test_it_was_opened_by_force(self, till: PairedTill) -> None:
        delivered(till)
        Terminal.objects.update(tampered_at=timezone.now())
        assert (look(till).verdict, look(till).entries[0].place) == ("tampered", "held")

    @pytest.mark.parametrize(("state", "verdict"), [("quarantined", "stopped"), ("new", "unpaired")])
    def test_it_may_not_be_served(self, till: PairedTill, state: str, verdict: str) -> None:
        delivered(till)
        Terminal.objects.update(state=state)
        assert look(till).verdict == verdict

    def test_a_second_person_is_waited_for(self, till: PairedTill) -> None:
        called(till)
        command = reset(till)
        Command.objects.filter(pk=command.pk).update(state=State.PENDING_APPROVAL)
        assert look(till).verdict == "approval"

    def test_what_lies_in_the_inbox_without_an_open_command_is_named(self, till: PairedTill) -> None:
        called(till)
        inbox.push(till.terminal.pk, [inbox.Item("tok_0123456789abcdef", 7, "cmd_0123456789abcdef", "a.b.c")])
        assert [item.seq for item in look(till).strays] == [7]

    def test_a_terminal_ahead_of_us_is_told(self, till: PairedTill) -> None:
        called(till, reported_hwm=9)
        assert look(till).behind

    def test_every_verdict_and_every_refusal_has_its_words(self) -> None:
        places = {"lies", "missing", "not_yet", "held", "unknown"}
        assert set(PLACES) == places and 204 in ANSWERS
        assert {"tampered", "unsupported", "guarded", "arguments", "quarantined"} <= set(REFUSALS)


class TestPage:
    def test_it_shows_the_queue_in_words(self, desk: Client, till: PairedTill) -> None:
        command = delivered(till)
        commands.mark_fetched([command.jti or ""], timezone.now())
        commands.deferred(fresh(command), timezone.now() + timedelta(minutes=1))
        called(till, reported_hwm=1, keyset_version=1)
        raise_alert("receipt_conflict", till.terminal, command=command)
        shown = desk.get(address(till.terminal.pk)).content.decode()
        words = ("set a password", "not offered", "nothing waits", "busy", "contradict", command.pk)
        for word in (*words, "福满楼"):
            assert word in shown, word
        assert command.token not in shown and command.sealed not in shown

    def test_the_command_and_the_alert_lead_to_it(self, desk: Client, till: PairedTill) -> None:
        command = delivered(till)
        raise_alert("parked", till.terminal, command=command)
        pages = (
            change_address(command),
            reverse("admin:terminals_terminalalert_changelist"),
        )
        for page in pages:
            assert address(till.terminal.pk) in desk.get(page).content.decode()

    def test_ids_that_the_admin_would_read_otherwise_lead_to_their_page(
        self, desk: Client, till: PairedTill
    ) -> None:
        command = delivered(till)
        Command.objects.filter(pk=command.pk).update(state=State.APPLIED)
        odd = Command.objects.create(
            id="cmd_3A0123456789abcd", terminal=till.terminal, kind="lock", expires_at=command.expires_at
        )
        shown = desk.get(address(till.terminal.pk)).content.decode()
        where = reverse("admin:terminals_command_change", args=(quote(odd.pk),))
        assert where in shown and desk.get(where).status_code == 200

    def test_addresses_of_nothing_are_not_found(self, desk: Client, till: PairedTill) -> None:
        for nobody in ("trm_0123456789abcdef", "x", "%00"):
            where = address("trm_aaaaaaaaaaaaaaaa").replace("trm_aaaaaaaaaaaaaaaa", nobody)
            assert desk.get(where).status_code == 404


class TestSending:
    def send(self, desk: Client, till: PairedTill, **typed: str) -> Any:
        """Fill in the form and press its key."""
        typed = {"why": "the owner asked on the phone", **typed, "send": "1"}
        return desk.post(address(till.terminal.pk), typed)

    @pytest.mark.parametrize(
        ("typed", "wanted"),
        [
            ({"kind": "lock"}, ("lock", "", {})),
            ({"kind": "unlock", "operator": "03"}, ("unlock", "03", {})),
            (
                {"kind": "message", "text": "客服 400 800 0000"},
                ("message", "", {"text": "客服 400 800 0000"}),
            ),
            ({"kind": "reboot"}, ("reboot", "", {})),
            ({"kind": "reboot", "minutes": "10", "operator": "03"}, ("reboot", "", {"idle_max": 600})),
        ],
    )
    def test_a_command_is_sent_under_the_name_of_who_sent_it(
        self, desk: Client, till: PairedTill, typed: dict[str, str], wanted: tuple[str, str, Any]
    ) -> None:
        assert self.send(desk, till, **typed).status_code == 302
        command = Command.objects.get()
        assert (command.kind, command.operator_number, command.args) == wanted
        told = AuditEvent.objects.get(tag=Tag.COMMAND_ISSUED)
        assert told.actor.startswith("user:") and told.facts["why"] == "the owner asked on the phone"
        assert delivery.deliver(command.pk) and tokens_in_inbox(till.terminal)

    def test_a_factory_reset_without_an_approval_is_refused_in_words(
        self, desk: Client, till: PairedTill
    ) -> None:
        shown = self.send(desk, till, kind="factory_reset")
        assert shown.status_code == 200 and "second person’s" in shown.content.decode()
        assert not Command.objects.exists()

    @pytest.mark.parametrize(
        "typed",
        [
            {"kind": "lock", "why": ""},
            {"kind": "message"},
            {"kind": "message", "text": "x" * 141},
            {"kind": "message", "text": "one\ntwo"},
            {"kind": "set_credential"},
            {"kind": "lock", "operator": "42"},
            {"kind": "reboot", "minutes": "-1"},
            {"kind": "reboot", "minutes": "99999999999999999999"},
        ],
    )
    def test_what_cannot_be_sent_is_said_on_the_page(
        self, desk: Client, till: PairedTill, typed: dict[str, str]
    ) -> None:
        shown = self.send(desk, till, **typed)
        assert shown.status_code == 200 and 'class="error"' in shown.content.decode()
        assert not Command.objects.exists()

    def test_a_terminal_opened_by_force_is_sent_nothing(self, desk: Client, till: PairedTill) -> None:
        Terminal.objects.update(tampered_at=timezone.now())
        shown = self.send(desk, till, kind="lock").content.decode()
        assert "opened by force" in shown and not Command.objects.exists()


class TestEnding:
    def test_chosen_commands_end_with_a_reason_on_record(self, desk: Client, till: PairedTill) -> None:
        stuck, other = delivered(till, "01"), delivered(till, "03")
        typed = {"command": [stuck.pk], "end-why": "SIM card is dead", "end": "1"}
        assert desk.post(address(till.terminal.pk), typed).status_code == 302
        assert (fresh(stuck).state, fresh(other).state) == (State.EXPIRED, State.QUEUED)
        assert AuditEvent.objects.get(tag=Tag.COMMAND_CLEARED).facts["why"] == "SIM card is dead"

    @pytest.mark.parametrize("typed", [{"end-why": "x"}, {"end-why": "", "command": "1"}])
    def test_without_a_reason_or_a_choice_nothing_ends(
        self, desk: Client, till: PairedTill, typed: dict[str, str]
    ) -> None:
        command = delivered(till)
        typed = {name: command.pk if name == "command" else text for name, text in typed.items()}
        assert desk.post(address(till.terminal.pk), {**typed, "end": "1"}).status_code == 200
        assert fresh(command).state == State.QUEUED


class TestWhoMay:
    def test_owners_and_strangers_see_nothing(self, till: PairedTill) -> None:
        for client in (Client(), signed_in(make_owner())):
            assert client.get(address(till.terminal.pk)).status_code == 302

    def test_staff_who_may_only_look_send_and_end_nothing(self, till: PairedTill) -> None:
        looker = make_staff(superuser=False)
        looker.user_permissions.add(*Permission.objects.filter(codename__startswith="view_"))
        client, command = signed_in(looker), delivered(till)
        shown = client.get(address(till.terminal.pk)).content.decode()
        assert command.pk in shown and 'name="send"' not in shown and 'name="end"' not in shown
        assert client.post(address(till.terminal.pk), {"kind": "lock", "why": "x"}).status_code == 403
        typed = {"command": command.pk, "end-why": "x", "end": "1"}
        assert client.post(address(till.terminal.pk), typed).status_code == 403
        assert client.get(f"{reverse('admin:terminals_alerts_clear')}?alert=1").status_code == 403

    def test_without_any_permission_there_is_no_page(self, till: PairedTill) -> None:
        assert signed_in(make_staff(superuser=False)).get(address(till.terminal.pk)).status_code == 403


class TestAlerts:
    @pytest.fixture
    def alert(self, till: PairedTill) -> TerminalAlert:
        return raise_alert("seq_replayed", till.terminal, hwm=41)

    def test_open_ones_come_first(self, desk: Client, till: PairedTill, alert: TerminalAlert) -> None:
        raise_alert("parked", till.terminal)
        TerminalAlert.objects.filter(pk=alert.pk).update(cleared_at=timezone.now())
        answer: Any = desk.get(reverse("admin:terminals_terminalalert_changelist"))
        assert [one.kind for one in answer.context_data["cl"].result_list] == ["parked", "seq_replayed"]

    def test_many_are_cleared_at_once_with_a_reason(
        self, desk: Client, till: PairedTill, alert: TerminalAlert
    ) -> None:
        other = raise_alert("parked", till.terminal)
        chosen = {"action": "clear_chosen", "_selected_action": [alert.pk, other.pk]}
        asked = desk.post(reverse("admin:terminals_terminalalert_changelist"), chosen, follow=True)
        assert asked.status_code == 200 and "restored" in asked.content.decode()
        where = reverse("admin:terminals_alerts_clear")
        assert desk.post(where, {"alert": [alert.pk, other.pk], "why": ""}).status_code == 200
        assert (
            desk.post(where, {"alert": [alert.pk, other.pk], "why": "restored last night"}).status_code == 302
        )
        alert.refresh_from_db()
        assert alert.cleared_reason == "restored last night" and alert.cleared_by.startswith("user:")
        assert AuditEvent.objects.filter(tag=Tag.ALERT_CLEARED).count() == 2

    @pytest.mark.parametrize("named", ["", "alert=x", "alert=99999999999999999999", "alert=123"])
    def test_what_is_not_open_is_not_cleared(self, desk: Client, till: PairedTill, named: str) -> None:
        assert desk.get(f"{reverse('admin:terminals_alerts_clear')}?{named}").status_code == 302

    def test_an_alert_has_a_page_with_a_way_to_clear_it(
        self, desk: Client, till: PairedTill, alert: TerminalAlert
    ) -> None:
        shown = desk.get(change_address(alert)).content.decode()
        assert "hwm 41" in shown and f"alert={alert.pk}" in shown
