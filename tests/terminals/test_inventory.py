"""What a terminal tells of itself: kept when new, compared with the list here, acted upon when grave."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.audit import Tag
from portal.models import AuditEvent
from recovery.authority import terminals_of
from recovery.models import Recovery, Ticket
from terminals import alerts, commands, comparison, delivery, inbox, inventory, overview, tamper
from terminals.claims import parse_inventory
from terminals.models import Command, Operator, Terminal, TerminalAlert, TerminalStatus
from terminals.protocol import LOCK, UNLOCK
from tests.cast import OPERATORS, PairedTill
from tests.terminals.reports import operator, report, seen, send
from tests.terminals.work import delivered, fresh, reset, tokens_in_inbox

pytestmark = pytest.mark.django_db
Kind = TerminalAlert.Kind


def raised(kind: str) -> TerminalAlert | None:
    """The open alert of this kind."""
    return TerminalAlert.objects.filter(kind=kind, cleared_at__isnull=True).first()


def told(kind: str) -> Any:
    """What the open alert of this kind says."""
    alert = raised(kind)
    return alert.facts if alert else None


class TestWhatIsKept:
    def writes(self, till: PairedTill, body: dict[str, Any]) -> list[str]:
        """Statements that change something."""
        parsed = parse_inventory({"inventory": body})
        with CaptureQueriesContext(
            connection,
        ) as ran:
            inventory.store(seen(till), parsed)
        words = ("INSERT", "UPDATE", "DELETE", "BEGIN", "SAVEPOINT")
        return [query["sql"] for query in ran if query["sql"].startswith(words)]

    @pytest.mark.parametrize(
        "body",
        [report(), report(operator("03", weak="default"), operator("42")), report(fw="1.0", battery=3)],
        ids=["well", "troubled", "old"],
    )
    def test_the_same_again_writes_nothing(self, till: PairedTill, body: dict[str, Any]) -> None:
        assert self.writes(till, body)
        assert self.writes(till, body) == []

    def test_a_day_later_passwords_are_a_day_older_and_that_is_no_news(
        self, till: PairedTill, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        send(till, report())
        then = timezone.now() + timedelta(days=3, hours=2)
        monkeypatch.setattr(timezone, "now", lambda: then)
        aged = [operator(number, age_days=43) for number in OPERATORS]
        assert self.writes(till, report(*aged)) == []
        assert inventory.reported(seen(till), then)["03"]["age_days"] == 43

    def test_a_password_that_was_changed_is_news(self, till: PairedTill) -> None:
        send(till, report())
        assert self.writes(till, report(operator("03", age_days=0)))
        assert inventory.reported(seen(till), timezone.now())["03"]["age_days"] == 0

    def test_the_facts_about_the_machine_are_kept(self, till: PairedTill) -> None:
        more: dict[str, Any] = {
            "app": "till 7",
            "battery": 71,
            "charging": True,
            "network": "wifi",
            "unsettled_batch": True,
        }
        send(till, report(**more))
        status = TerminalStatus.objects.get()
        assert {name: getattr(status, name) for name in more} == more
        assert Terminal.objects.get().firmware == "4.2.1"

    def test_what_it_leaves_out_stays_as_telemetry_told_it(self, till: PairedTill) -> None:
        TerminalStatus.objects.create(terminal=till.terminal, battery=55, charging=True)
        send(till, report())
        status = TerminalStatus.objects.get()
        assert (status.battery, status.charging) == (55, True)


class TestOperatorsHereAndThere:
    @pytest.mark.parametrize(
        ("body", "found"),
        [
            (report(), None),
            (report(operator("42")), {"unknown": ["42"]}),
            (report(without="05"), {"missing": ["05"]}),
            (report(operator("03", role="supervisor")), {"role": ["03"]}),
            (report(operator("03", locked=True, tries_left=0)), None),
            (report(operator("42"), without="05"), {"unknown": ["42"], "missing": ["05"]}),
        ],
        ids=["same", "unknown", "missing", "role", "locked by tries", "two"],
    )
    def test_what_is_different_is_told(self, till: PairedTill, body: dict[str, Any], found: Any) -> None:
        send(till, body)
        assert told(Kind.OPERATORS_DIFFER) == found

    def test_a_list_that_nobody_has_written_differs_from_nothing(self, till: PairedTill) -> None:
        Operator.objects.all().delete()
        send(till, report())
        assert told(Kind.OPERATORS_DIFFER) is None

    def applied(self, till: PairedTill, kind: str) -> None:
        """A command that the terminal has carried out."""
        command = commands.issue(till.terminal, kind, operator_number="05", requested_by="user:1")
        delivery.deliver(command.pk)
        commands.applied(fresh(command), timezone.now())

    def test_an_operator_locked_from_here_who_can_sign_on_is_told(self, till: PairedTill) -> None:
        till.terminal.capabilities["cmds"] = [LOCK, UNLOCK]
        till.terminal.save()
        self.applied(till, LOCK)
        send(till, report(operator("05", locked=True)))
        assert told(Kind.OPERATORS_DIFFER) is None
        send(till, report())
        assert told(Kind.OPERATORS_DIFFER) == {"unlocked": ["05"]}
        self.applied(till, UNLOCK)
        send(till, report())
        assert told(Kind.OPERATORS_DIFFER) is None


class TestAlerts:
    def test_it_ends_by_itself_when_the_terminal_no_longer_says_so(self, till: PairedTill) -> None:
        send(till, report(operator("03", weak="default")))
        assert told(Kind.WEAK_PASSWORD) == {"default": ["03"]}
        send(till, report())
        alert = TerminalAlert.objects.get(kind=Kind.WEAK_PASSWORD)
        assert (alert.cleared_by, alert.cleared_reason) == (till.terminal.pk, inventory.GONE)
        send(till, report(operator("03", weak="default")))
        assert told(Kind.WEAK_PASSWORD) == {"default": ["03"]}

    def test_what_a_person_has_cleared_is_not_raised_again_until_it_changes(self, till: PairedTill) -> None:
        send(till, report(operator("03", weak="shared")))
        alert = raised(Kind.WEAK_PASSWORD)
        assert alert is not None and alerts.clear(alert, "user:1", "the merchant knows")
        send(till, report(operator("03", weak="shared"), battery=50))
        assert raised(Kind.WEAK_PASSWORD) is None
        send(till, report(operator("03", weak="shared"), operator("05", weak="shared")))
        assert told(Kind.WEAK_PASSWORD) == {"shared": ["03", "05"]}

    def test_it_says_what_is_so_now_and_not_what_was(self, till: PairedTill) -> None:
        send(till, report(operator("42"), without="05"))
        send(till, report(operator("42")))
        assert told(Kind.OPERATORS_DIFFER) == {"unknown": ["42"]}
        assert TerminalAlert.objects.count() == 1

    @pytest.mark.parametrize(
        ("supported", "firmware", "fine"),
        [
            ([], "0.1", True),
            (["4.2"], "4.2", True),
            (["4.2"], "4.2.1", True),
            (["4.2"], "4.20", False),
            (["4.2"], "4.1.9", False),
            (["4.2", "5"], "5.0.3", True),
            (["4.2.1"], "4.2", False),
        ],
        ids=str,
    )
    def test_firmware_is_compared_number_by_number(
        self, till: PairedTill, supported: list[str], firmware: str, fine: bool
    ) -> None:
        assert comparison.supports(supported, firmware) is fine
        till.terminal.model.supported_firmware = supported
        till.terminal.model.save()
        send(till, report(fw=firmware))
        assert (told(Kind.UNSUPPORTED_FIRMWARE) is None) is fine


class TestOpenedByForce:
    def test_everything_to_it_stops_and_support_has_a_ticket(
        self, till: PairedTill, django_capture_on_commit_callbacks: Any
    ) -> None:
        lying, waiting = delivered(till), reset(till, "05")
        with django_capture_on_commit_callbacks(execute=True):
            send(till, report(tamper=True))
        assert tokens_in_inbox(till.terminal) == [] == delivery.waiting_for(till.terminal.pk)
        assert not delivery.deliver(waiting.pk)
        delivery.sweep()
        assert tokens_in_inbox(till.terminal) == []
        assert fresh(lying).state in ("queued", "fetched")
        with pytest.raises(commands.CannotIssue, match="tampered"):
            reset(till, "01")
        ticket = Ticket.objects.get()
        assert ticket.merchant == till.terminal.store.merchant and ticket.phone == ticket.merchant.phone
        assert till.terminal.number in ticket.subject and ticket.entries.get().author == "system"

    def test_saying_so_again_opens_no_second_ticket(self, till: PairedTill) -> None:
        for battery in (50, 51, 52):
            send(till, report(tamper=True, battery=battery))
        assert Ticket.objects.count() == 1 == TerminalAlert.objects.filter(kind=Kind.TAMPER).count()

    def test_a_person_clears_it_with_a_reason_and_what_waited_goes_out(self, till: PairedTill) -> None:
        waiting = delivered(till)
        send(till, report(tamper=True))
        inbox.clear(till.terminal.pk)
        assert tamper.clear(seen(till), "user:7", "a loose lid, screwed down")
        assert not tamper.clear(seen(till), "user:8", "again")
        Command.objects.update(pushed_at=timezone.now() - timedelta(minutes=1))
        delivery.sweep()
        assert tokens_in_inbox(till.terminal) == [fresh(waiting).token]
        alert = TerminalAlert.objects.get(kind=Kind.TAMPER)
        assert (alert.cleared_by, alert.cleared_reason) == ("user:7", "a loose lid, screwed down")
        event = AuditEvent.objects.get(tag=Tag.TAMPER_CLEARED)
        assert (event.actor, event.facts) == ("user:7", {"reason": "a loose lid, screwed down"})

    def test_a_lid_that_stays_open_does_not_stop_it_again_but_a_second_opening_does(
        self, till: PairedTill
    ) -> None:
        send(till, report(tamper=True))
        tamper.clear(seen(till), "user:7", "looked at")
        send(till, report(tamper=True, battery=50))
        assert seen(till).tampered_at is None
        send(till, report(tamper=False))
        send(till, report(tamper=True))
        assert seen(till).tampered_at is not None
        assert Ticket.objects.count() == 2

    def test_the_terminal_cannot_clear_it_itself(self, till: PairedTill) -> None:
        send(till, report(tamper=True))
        send(till, report(tamper=False))
        assert seen(till).tampered_at is not None and raised(Kind.TAMPER)

    def test_an_inventory_that_says_nothing_of_it_changes_nothing(self, till: PairedTill) -> None:
        silent = {name: value for name, value in report().items() if name != "tamper"}
        send(till, silent)
        assert seen(till).tampered_at is None
        send(till, report(tamper=True))
        send(till, silent)
        assert seen(till).tampered_at is not None


def test_no_journey_leads_to_a_terminal_that_was_opened(till: PairedTill) -> None:
    visited = Recovery(merchant=till.terminal.store.merchant)
    assert list(terminals_of(visited)) == [till.terminal]
    send(till, report(tamper=True))
    assert not terminals_of(visited).exists()
    assert not any(line.can_reset for line in overview.operator_lines(seen(till), timezone.now()))
