"""What people read of a terminal: what needs care and what to do, the owner and support alike."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from portal.admin_site import change_address
from terminals import tamper
from terminals.condition import condition
from terminals.models import Terminal, TerminalStatus
from tests.cast import PairedTill, make_owner, make_staff, signed_in
from tests.terminals.reports import operator, report, seen, send

pytestmark = pytest.mark.django_db


def concerns(till: PairedTill) -> str:
    """What needs care, as its owner reads it."""
    found = condition(seen(till), timezone.now()).concerns
    return "\n".join(f"{concern.text}. {concern.advice} {concern.url}" for concern in found)


@pytest.fixture
def english(settings: Any) -> None:
    """Pages in the language of the source."""
    settings.LANGUAGE_CODE = "en"


@pytest.mark.usefixtures("english")
class TestWhatPeopleRead:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (report(operator("03", weak="default")), "03 王芳 still has the factory password"),
            (report(operator("03", weak="common")), "The password of 03 王芳 is one that many people use"),
            (report(operator("03", weak="shared")), "03 王芳 has the same password as another operator"),
            (report(operator("42", weak="default")), "42 still has the factory password"),
            (report(operator("42")), "Operator 42 is on this terminal, but not in the list here"),
            (report(without="05"), "05 刘洋 is in the list here, but not on this terminal"),
            (report(operator("05", role="supervisor")), "05 has other rights on this terminal"),
            (report(battery=9), "The battery is at 9 %"),
            (report(tamper=True), "reports that it was opened by force"),
        ],
    )
    def test_the_owner_reads_what_is_the_matter_and_what_to_do(
        self, till: PairedTill, body: dict[str, Any], words: str
    ) -> None:
        send(till, body)
        assert words in concerns(till)
        shown = signed_in(make_owner()).get(reverse("terminals:terminal", args=[till.terminal.pk]))
        assert words in shown.content.decode()

    @pytest.mark.parametrize("number", ["00", "03"])
    def test_a_weak_password_has_a_way_to_a_better_one_where_there_is_one(
        self, till: PairedTill, number: str
    ) -> None:
        send(till, report(operator(number, weak="common")))
        way = reverse("recovery:start_signed_in", args=[till.terminal.pk, "03"])
        assert (way in concerns(till)) is (number == "03")

    def test_a_charging_battery_and_a_terminal_that_is_well_need_nothing(self, till: PairedTill) -> None:
        send(till, report(battery=9, charging=True))
        assert concerns(till) == ""

    def test_a_terminal_that_is_not_in_use_needs_nothing(self, till: PairedTill) -> None:
        send(till, report(operator("03", weak="default")))
        Terminal.objects.update(state=Terminal.State.REVOKED)
        assert concerns(till) == ""

    def test_the_first_page_tells_the_owner_too(self, till: PairedTill) -> None:
        client = signed_in(make_owner())
        send(till, report(operator("03", weak="shared")))
        assert (
            "Some passwords on 前台 are easily guessed"
            in client.get(reverse("terminals:home")).content.decode()
        )
        send(till, report(tamper=True))
        assert (
            "前台 reports that it was opened by force"
            in client.get(reverse("terminals:home")).content.decode()
        )

    def test_support_reads_the_same_and_finds_those_that_need_it(self, till: PairedTill) -> None:
        desk = signed_in(make_staff())
        desk.get("/lang/en?next=/home")
        send(till, report(operator("42"), tamper=True, network="cellular", app="till 7"))
        page = desk.get(change_address(till.terminal)).content.decode()
        for words in ("Operator 42 is on this terminal", "opened by force", "mobile network", "till 7"):
            assert words in page
        listed = reverse("admin:terminals_terminal_changelist")
        for question in ("overdue", "opened"):
            assert till.terminal.number in desk.get(listed, {question: "yes"}).content.decode()
        TerminalStatus.objects.update(last_seen_at=timezone.now())
        tamper.clear(seen(till), "user:1", "fine")
        for question in ("overdue", "opened"):
            assert till.terminal.number not in desk.get(listed, {question: "yes"}).content.decode()

    def test_a_terminal_of_its_own_pace_is_overdue_by_it(self, till: PairedTill) -> None:
        desk, listed = signed_in(make_staff()), reverse("admin:terminals_terminal_changelist")
        TerminalStatus.objects.create(
            terminal=till.terminal, last_seen_at=timezone.now() - timedelta(minutes=20)
        )
        for interval, late in ((None, True), (60, True), (3600, False)):
            Terminal.objects.update(poll_interval_s=interval)
            page = desk.get(listed, {"overdue": "yes"}).content.decode()
            assert (till.terminal.number in page) is late, interval

    def test_supported_firmware_is_written_as_people_write_lists(self, till: PairedTill) -> None:
        desk = signed_in(make_staff())
        where = reverse("admin:terminals_terminalmodel_change", args=[till.terminal.model.pk])
        form = desk.get(where).context["adminform"].form
        facts = {name: form[name].value() for name in form.fields} | {"factory_defaults": "[]"}
        for typed, kept in (("4.2， 5", ["4.2", "5"]), ("", [])):
            desk.post(where, facts | {"supported_firmware": typed})
            till.terminal.model.refresh_from_db()
            assert till.terminal.model.supported_firmware == kept
        refused = desk.post(where, facts | {"supported_firmware": "any, <b>"})
        assert refused.status_code == 200 and refused.context["errors"]


def test_keys_are_shown_to_support_by_name_alone(issuer_keys: Path) -> None:
    desk = signed_in(make_staff())
    desk.get("/lang/en?next=/home")
    page = desk.get(reverse("admin:terminals_issuerkey_changelist")).content.decode()
    for words in ("in use", "published ahead", "factory resets"):
        assert words in page
    assert desk.get(reverse("admin:terminals_keyset_changelist")).status_code == 200
