"""The contact directory: a second person confirms each line, a change undoes it, merchants read the truth."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal import limits
from portal.audit import Tag
from portal.models import AuditEvent
from recovery.models import Ticket
from terminals.directory import entries
from terminals.models import DirectoryEntry, DirectoryKey, DirectoryNumber
from terminals.tasks import remind_directory
from tests.cast import make_staff, signed_in
from tests.terminals.directory import NUMBER, make_confirmed, make_editor, make_entry, posted

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader() -> Client:
    """Anybody, reading English."""
    return Client(headers={"Accept-Language": "en"})


def looked_up(reader: Client, what: str) -> str:
    return reader.post("/directory", {"what": what}).content.decode()


def checked(reader: Client, number: str) -> str:
    return reader.post("/directory/number", {"number": number}).content.decode()


# ── the second person ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", [DirectoryEntry, DirectoryNumber, DirectoryKey])
def test_the_database_refuses_a_line_that_one_person_entered_and_confirmed(model: Any) -> None:
    make_entry()
    line = model.objects.get()
    now = timezone.now()
    facts = {"verified_at": now, "valid_until": now + timedelta(days=1)}
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.filter(pk=line.pk).update(verified_by=line.entered_by, **facts)
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.filter(pk=line.pk).update(verified_by=make_editor("second"))
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.filter(pk=line.pk).update(verified_by=None, **facts)
    model.objects.filter(pk=line.pk).update(verified_by=make_editor("second"), **facts)


def test_nobody_confirms_their_own_lines_and_two_people_confirm_each_others() -> None:
    first, second = make_editor("first"), make_editor("second")
    entry = make_entry(first)
    with pytest.raises(entries.NothingToConfirm):
        entries.confirm(entry, first.pk, entries.as_seen(entry))
    DirectoryNumber.objects.create(entry=entry, shown="95599", digits="95599", entered_by=second)
    assert entries.confirm(entry, second.pk, entries.as_seen(entry)) == 3
    assert entries.confirm(entry, first.pk, entries.as_seen(entry)) == 1
    assert not DirectoryNumber.objects.filter(verified_by__isnull=True).exists()
    assert AuditEvent.objects.filter(tag=Tag.DIRECTORY_CONFIRMED).count() == 2


def test_what_was_changed_after_it_was_seen_is_not_confirmed() -> None:
    entry, second = make_entry(), make_editor("second")
    seen = entries.as_seen(entry)
    number = entry.numbers.get()
    number.enter(make_editor("third").pk)
    number.save()
    with pytest.raises(entries.Changed):
        entries.confirm(entry, second.pk, seen)
    assert not DirectoryEntry.objects.filter(verified_by__isnull=False).exists()


# ── what merchants read ─────────────────────────────────────────────────────────────────────────────────────


def test_what_one_person_entered_is_shown_to_no_merchant(reader: Client) -> None:
    make_entry()
    for page in (looked_up(reader, "Sample"), looked_up(reader, "RK2026"), checked(reader, NUMBER)):
        assert "Sample Terminals" not in page
    assert "not in the directory" in checked(reader, NUMBER)


@pytest.mark.parametrize("what", ["sample", "示例", "RK", "rk20260001", "ＲＫ２０", "Terminals"])
def test_an_entry_is_found_by_its_name_and_by_a_serial_number(what: str, reader: Client) -> None:
    make_confirmed()
    page = looked_up(reader, what)
    assert "Sample Terminals" in page and NUMBER in page
    assert timezone.localdate().isoformat() in page


def test_an_acquirer_is_found_by_a_whole_merchant_number_and_the_closest_comes_first(reader: Client) -> None:
    make_confirmed(kind="acquirer", name_en="Wide Bank", keys={"acquirer": "89"}, number="95590")
    make_confirmed(kind="acquirer", name_en="Close Bank", keys={"acquirer": "898"}, number="95591")
    page = looked_up(reader, "8984 4015 8120 031")
    assert 0 < page.index("Close Bank") < page.index("Wide Bank")
    assert "Wide Bank" not in looked_up(reader, "104440158120031")


def test_a_number_that_is_changed_disappears_until_it_is_confirmed_anew(reader: Client) -> None:
    entry = make_confirmed()
    number = entry.numbers.get()
    number.shown = number.digits = "95599"
    number.enter(make_editor("first").pk)
    number.save()
    page = looked_up(reader, "Sample")
    assert "95599" not in page and "being checked" in page
    assert "not in the directory" in checked(reader, "95599")
    entries.confirm(entry, make_editor("second").pk, entries.as_seen(entry))
    assert "95599" in looked_up(reader, "Sample")


def test_what_nobody_confirmed_again_is_shown_as_such(reader: Client) -> None:
    entry = make_confirmed()
    old = timezone.now() - timedelta(days=400)
    stale = {"verified_at": old, "valid_until": old + timedelta(days=180)}
    DirectoryNumber.objects.update(**stale)
    DirectoryEntry.objects.update(**stale)
    assert f"not again since {timezone.localtime(old).date()}" in looked_up(reader, "Sample")
    assert "checked, but long ago" in checked(reader, NUMBER)
    assert reader.get(f"/directory/{entry.pk}/sticker").status_code == 404


@pytest.mark.parametrize("number", [NUMBER, "+86 400 555 0100", "４００５５５０１００", "0086-400-555-0100"])
def test_a_number_in_the_directory_is_never_called_safe(number: str, reader: Client) -> None:
    make_confirmed()
    page = checked(reader, number)
    assert "This number is in the directory" in page and "Sample Terminals" in page
    assert "can be faked. Hang up and dial it yourself" in page
    assert not {"safe", "genuine", "trust"} & {word.strip(".,?").lower() for word in page.split()}


def test_the_own_hotline_is_known_and_a_retired_entry_is_not(reader: Client, settings: Any) -> None:
    settings.REKEY_HOTLINE = "400-555-0199"
    assert "support line of this site" in checked(reader, "4005550199")
    make_confirmed(retired=True)
    assert "not in the directory" in checked(reader, NUMBER)
    assert "Sample Terminals" not in looked_up(reader, "Sample")


def test_nothing_that_is_typed_stands_in_an_address_a_row_or_the_log(
    reader: Client, caplog: pytest.LogCaptureFixture
) -> None:
    rows = AuditEvent.objects.count()
    answer = reader.post("/directory/number", {"number": "13912345678"})
    assert answer.status_code == 200 and "no-store" in answer.headers["Cache-Control"]
    assert reader.get("/directory/number?number=13912345678").content.count(b"13912345678") == 0
    assert AuditEvent.objects.count() == rows
    assert "13912345678" not in caplog.text


def test_questions_are_counted_per_block(reader: Client, settings: Any) -> None:
    settings.REKEY_LIMITS = {"directory": "3/hour"}
    answers = [reader.post("/directory", {"what": "RK"}).status_code for _ in range(2)]
    answers += [reader.post("/directory/number", {"number": NUMBER}).status_code for _ in range(2)]
    assert answers == [200, 200, 200, 429]
    assert reader.get("/directory").status_code == 200
    assert "directory" in limits.SHIELDS


def test_the_sticker_has_the_number_and_the_way_to_a_reset(reader: Client, settings: Any) -> None:
    settings.REKEY_ORIGIN = "https://rekey.example"
    entry = make_confirmed()
    page = reader.get(f"/directory/{entry.pk}/sticker").content.decode()
    assert NUMBER in page and "rekey.example" in page and 'class="qr"' in page
    assert reader.get(f"/directory/{'9' * 40}/sticker").status_code == 404


# ── the desk ────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_enters_and_another_confirms_at_the_desk(reader: Client) -> None:
    first, second = signed_in(make_editor("first")), signed_in(make_editor("second"))
    assert first.post(reverse("admin:terminals_directoryentry_add"), posted()).status_code == 302
    entry = DirectoryEntry.objects.get()
    assert [key.start for key in entry.keys.all()] == ["RK"]
    page = reverse("admin:terminals_directoryentry_confirm", args=(entry.pk,))
    sent = {"seen": entries.as_seen(entry), "looked_up": "on"}
    assert first.post(page, sent).status_code == 200
    assert second.post(page, {"seen": sent["seen"]}).status_code == 200
    assert second.post(page, {**sent, "seen": "x"}).status_code == 200
    assert NUMBER not in looked_up(reader, "示例")
    assert second.get(page).status_code == 200
    assert second.post(page, sent).status_code == 302
    assert NUMBER in looked_up(reader, "示例")
    told = AuditEvent.objects.filter(tag__startswith="terminals:directory:").values_list("tag", "facts")
    assert len(told) == 4
    assert NUMBER not in json.dumps([facts for _, facts in told])


def test_a_change_at_the_desk_takes_the_confirmation_of_that_line_away() -> None:
    entry = make_confirmed()
    number, key = entry.numbers.get(), entry.keys.get()
    lines = {
        "numbers-INITIAL_FORMS": 1,
        "numbers-0-id": number.pk,
        "numbers-0-entry": entry.pk,
        "keys-INITIAL_FORMS": 1,
        "keys-0-id": key.pk,
        "keys-0-entry": entry.pk,
        "keys-0-start": "RK",
    }
    same = {
        name: getattr(entry, name) for name in ("name_zh", "name_en", "hours_zh", "hours_en", "web", "source")
    }
    third = signed_in(make_editor("third"))
    page = reverse("admin:terminals_directoryentry_change", args=(quote(entry.pk),))
    assert third.post(page, posted(**lines, **same)).status_code == 302
    assert entries.as_seen(entry) and DirectoryNumber.objects.get().verified_by is not None
    assert third.post(page, posted(**lines, **{**same, "hours_zh": "全天"})).status_code == 302
    entry.refresh_from_db()
    assert (entry.verified_by, entry.entered_by.username) == (None, "third")
    assert third.post(page, posted(**lines, **same, **{"numbers-0-shown": "95599"})).status_code == 302
    number.refresh_from_db()
    assert (number.digits, number.verified_by, number.entered_by.username) == ("95599", None, "third")
    assert DirectoryKey.objects.get().verified_by is not None


def test_one_number_written_in_two_ways_is_told_to_the_editor() -> None:
    desk = signed_in(make_editor("first"))
    twice = posted(**{"numbers-TOTAL_FORMS": 2, "numbers-1-shown": "+86 400 555 0100"})
    assert desk.post(reverse("admin:terminals_directoryentry_add"), twice).status_code == 200
    twice = posted(**{"keys-TOTAL_FORMS": 2, "keys-1-kind": "serial", "keys-1-start": " RK"})
    assert desk.post(reverse("admin:terminals_directoryentry_add"), twice).status_code == 200
    assert not DirectoryEntry.objects.exists()


def test_those_without_the_right_neither_see_nor_confirm() -> None:
    entry = make_confirmed()
    agent = signed_in(make_staff("agent", superuser=False))
    assert agent.get(reverse("admin:terminals_directoryentry_confirm", args=(entry.pk,))).status_code == 403
    assert agent.get(reverse("admin:terminals_directoryentry_changelist")).status_code == 403


@pytest.mark.parametrize(
    "asked", ["", "q=400 555 0100", "q=RK", "standing=waiting", "standing=due", "standing=stands"]
)
def test_a_list_of_many_takes_at_most_twelve_queries(asked: str) -> None:
    for number in range(12):
        make_confirmed(name_en=f"Sample {number}", keys={"serial": f"RK{number}"})
    desk = signed_in(make_editor("first"))
    with CaptureQueriesContext(connection) as queries:
        assert desk.get(f"{reverse('admin:terminals_directoryentry_changelist')}?{asked}").status_code == 200
    assert len(queries) <= 12


# ── reminders ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_entry_that_is_soon_over_opens_one_case() -> None:
    entry = make_confirmed()
    remind_directory()
    assert not Ticket.objects.exists()
    DirectoryNumber.objects.update(valid_until=timezone.now() + timedelta(days=13))
    remind_directory()
    remind_directory()
    assert Ticket.objects.count() == 1
    assert entries.due_by(timezone.now() + entries.AHEAD).get() == entry
    entries.confirm(entry, make_editor("second").pk, entries.as_seen(entry))
    assert entries.remind(timezone.now()) == 0
    assert not entries.due_by(timezone.now() + entries.AHEAD).exists()


# ── a hundred thousand ──────────────────────────────────────────────────────────────────────────────────────


UP_TO = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT"
MANY_KEYS = f"""
    INSERT INTO terminals_directorykey
    (entry_id, kind, start, entered_by_id, entered_at, verified_by_id, verified_at, valid_until)
    {UP_TO.format(100_000)} entry_id, kind, 'Q' || (100000 + i), entered_by_id, entered_at, verified_by_id,
    verified_at, valid_until FROM n, terminals_directorykey WHERE id = %s
"""
MANY_NUMBERS = f"""
    INSERT INTO terminals_directorynumber (entry_id, shown, digits, entered_by_id, entered_at)
    {UP_TO.format(5_000)} entry_id, '', '010' || (10000000 + i), entered_by_id, entered_at
    FROM n, terminals_directorynumber WHERE id = %s
"""


def test_a_lookup_among_a_hundred_thousand_beginnings_goes_by_an_index(reader: Client) -> None:
    entry = make_confirmed()
    key, number = entry.keys.get(), entry.numbers.get()
    with connection.cursor() as cursor:
        cursor.execute(MANY_KEYS, [key.pk])
        cursor.execute(MANY_NUMBERS, [number.pk])
        cursor.execute("ANALYZE")
    for page, field, typed in (("/directory", "what", "Q154321-7"), ("/directory/number", "number", NUMBER)):
        with CaptureQueriesContext(connection) as queries:
            assert "Sample Terminals" in reader.post(page, {field: typed}).content.decode()
        assert len(queries) <= 6
    asked = [
        DirectoryKey.objects.filter(start__in=["Q154321", "Q15432", "Q1543"], verified_by__isnull=False),
        DirectoryNumber.objects.filter(digits="4005550100", verified_by__isnull=False),
    ]
    for question, index in zip(asked, ("directory_key_start", "digits"), strict=True):
        plan = question.explain()
        assert "INDEX" in plan.upper() and index in plan, plan
