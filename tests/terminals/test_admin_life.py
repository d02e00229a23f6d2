"""What support decides about terminals, and many of them at once, in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from terminals.keys import issuer
from terminals.life import pairing_codes, stopping
from terminals.models import EnrollmentBatch, PairingCode, Terminal
from tests.cast import FUMANLOU, PairedTill, make_model, make_staff, make_store, make_terminal, signed_in
from tests.terminals.units import Unit

pytestmark = pytest.mark.django_db
HEAD = "number,serial,name,model,merchant,store"
VERBS = ["stop", "release", "revoke", "swap"]


@pytest.fixture
def desk(till: PairedTill) -> Client:
    """The support desk, signed in with both factors, reading English."""
    client = signed_in(make_staff())
    client.get("/lang/en?next=/home")
    return client


@pytest.fixture
def looker(till: PairedTill) -> Client:
    """Somebody at the desk who may only look."""
    staff = make_staff("looker", superuser=False)
    staff.user_permissions.add(*Permission.objects.filter(codename__startswith="view_"))
    return signed_in(staff)


def page(name: str, *args: Any) -> str:
    """The address of an admin page of this room; the stock ones read an id as quoted."""
    return reverse(
        f"admin:terminals_{name}", args=[quote(one) for one in args] if "_change" in name else args
    )


def state_of(till: PairedTill) -> str:
    """The terminal's state as the database has it."""
    return Terminal.objects.get(pk=till.terminal.pk).state


class TestDecisions:
    def test_a_terminal_is_stopped_and_let_in_again_with_a_reason(
        self, desk: Client, till: PairedTill
    ) -> None:
        pk = till.terminal.pk
        assert desk.post(page("terminal_stop", pk), {"reason": "lost"}).status_code == 302
        assert state_of(till) == "quarantined"
        shown = desk.get(page("terminal_change", pk)).content.decode()
        assert "shut out for good" in shown and page("terminal_release", pk) in shown
        assert page("terminal_stop", pk) not in shown
        assert desk.post(page("terminal_release", pk), {"why": ""}).status_code == 200
        assert desk.post(page("terminal_release", pk), {"why": "it lay in the van"}).status_code == 302
        assert state_of(till) == "active"

    def test_a_terminal_is_shut_out(self, desk: Client, till: PairedTill) -> None:
        desk.post(page("terminal_revoke", till.terminal.pk), {"why": "sold"})
        assert state_of(till) == "revoked"

    def test_a_new_machine_takes_its_place(self, desk: Client, till: PairedTill) -> None:
        typed = {"model": make_model().pk, "number": "B0000001", "serial": "RK-NEW"}
        answer = desk.post(page("terminal_swap", till.terminal.pk), typed, follow=True)
        assert "taken its place" in answer.content.decode()
        old = desk.get(page("terminal_change", till.terminal.pk)).content.decode()
        assert "in its place" in old and "B0000001" in old
        again = desk.post(
            page("terminal_swap", till.terminal.pk), typed | {"number": "B0000002", "serial": "RK-N2"}
        )
        assert "replaced already" in again.content.decode()

    def test_what_is_over_is_said_to_be_over(self, desk: Client, till: PairedTill) -> None:
        stopping.revoke(till.terminal, "user:1", "x")
        answer = desk.post(page("terminal_stop", till.terminal.pk), {"reason": "lost"}, follow=True)
        assert "not possible any more" in answer.content.decode()

    @pytest.mark.parametrize("verb", VERBS)
    def test_each_is_asked_about_first_and_never_done_by_looking(
        self, desk: Client, till: PairedTill, verb: str
    ) -> None:
        if verb == "release":
            stopping.quarantine(till.terminal, "user:1")
        before = state_of(till)
        assert desk.get(page(f"terminal_{verb}", till.terminal.pk)).status_code == 200
        assert state_of(till) == before

    @pytest.mark.parametrize("verb", VERBS)
    def test_who_may_only_look_decides_nothing(self, looker: Client, till: PairedTill, verb: str) -> None:
        for answer in (looker.get, looker.post):
            assert answer(page(f"terminal_{verb}", till.terminal.pk)).status_code == 403
        shown = looker.get(page("terminal_change", till.terminal.pk)).content.decode()
        assert page("terminal_stop", till.terminal.pk) not in shown

    @pytest.mark.parametrize("odd", ["trm_short", "trm_0123456789abcdef", "%00"])
    def test_there_is_nothing_to_decide_about_what_is_not_there(self, desk: Client, odd: str) -> None:
        assert desk.get(f"{page('terminal_changelist')}{odd}/stop").status_code == 404

    def test_how_often_it_calls_can_be_set(self, desk: Client, till: PairedTill) -> None:
        terminal = till.terminal
        typed = {
            "name": "前台",
            "number": terminal.number,
            "serial": terminal.serial,
            "store": terminal.store_id,
        }
        typed |= {"model": terminal.model_id, "power": "mains", "poll_interval_s": 120}
        typed |= {"operators-TOTAL_FORMS": 0, "operators-INITIAL_FORMS": 0}
        assert desk.post(page("terminal_change", terminal.pk), typed).status_code == 302
        assert Terminal.objects.get().poll_interval_s == 120


def upload(desk: Client, *lines: str) -> Any:
    """Upload a list."""
    make_store()
    raw = "\r\n".join([HEAD, *lines]).encode("gbk")
    file = SimpleUploadedFile("tills.csv", raw, content_type="application/vnd.ms-excel")
    return desk.post(page("enrollmentbatch_add"), {"name": "开业", "file": file}, follow=True)


def line(count: int, **cells: str) -> str:
    """One line of a list."""
    row = {"number": f"B{count:07}", "serial": f"RKB{count}", "name": f"{count} 号", "model": "RK-100"}
    return ",".join((row | {"merchant": FUMANLOU["number"], "store": "南门店"} | cells).values())


class TestLists:
    def test_a_list_is_taken_and_its_sheet_pairs_them(self, desk: Client) -> None:
        shown = upload(desk, line(1), line(2)).content.decode()
        assert "2 terminals are registered" in shown and "B0000002" in shown
        batch = EnrollmentBatch.objects.get()
        sheet: Any = desk.post(page("enrollmentbatch_sheet", batch.pk))
        told = sheet.content.decode()
        assert told.count("<svg") == 2 and "valid until" in told and "style=" not in told
        assert "no-store" in sheet["Cache-Control"]
        code = sheet.context_data["lines"][0].code
        assert code.code in told and code.digits in told
        assert Unit().pair(code.code).terminal.batch == batch
        assert "1 / 2" in desk.get(page("enrollmentbatch_changelist")).content.decode()

    def test_bad_lines_are_told_one_by_one_and_nothing_is_taken(self, desk: Client) -> None:
        shown = upload(desk, line(1), line(2, number="?"), line(1, serial="X-99")).content.decode()
        assert "Nothing was registered" in shown and "The same stands in line 2" in shown
        assert not EnrollmentBatch.objects.exists() and Terminal.objects.count() == 1

    def test_a_cell_is_shown_as_text_and_never_as_markup(self, desk: Client) -> None:
        upload(desk, line(1, name="<b>x</b>"))
        shown = desk.post(page("enrollmentbatch_sheet", EnrollmentBatch.objects.get().pk)).content.decode()
        assert "<b>x</b>" not in shown and "&lt;b&gt;" in shown

    @pytest.mark.parametrize(
        "typed", [{}, {"name": "x"}, {"name": "x" * 61, "file": SimpleUploadedFile("a", b"")}]
    )
    def test_a_form_without_a_list_is_asked_again(self, desk: Client, typed: dict[str, Any]) -> None:
        assert desk.post(page("enrollmentbatch_add"), typed).status_code == 200

    def test_codes_are_not_made_by_looking(self, desk: Client) -> None:
        upload(desk, line(1))
        batch = EnrollmentBatch.objects.get()
        assert desk.get(page("enrollmentbatch_sheet", batch.pk)).status_code == 405
        desk.get(page("enrollmentbatch_change", batch.pk))
        assert not PairingCode.objects.exists()

    def test_without_issuer_keys_the_sheet_says_what_is_missing(self, desk: Client) -> None:
        upload(desk, line(1))
        issuer.Keyset.objects.all().delete()
        answer = desk.post(page("enrollmentbatch_sheet", EnrollmentBatch.objects.get().pk), follow=True)
        assert "issuerkeys init" in answer.content.decode()

    def test_when_all_are_paired_there_is_nothing_to_print(self, desk: Client) -> None:
        upload(desk, line(1))
        batch = EnrollmentBatch.objects.get()
        Unit().pair(pairing_codes.create_pairing_code(batch.terminals.get(), "user:1").code)
        assert "Make a sheet" not in desk.get(page("enrollmentbatch_change", batch.pk)).content.decode()
        assert "are paired" in desk.post(page("enrollmentbatch_sheet", batch.pk)).content.decode()

    def test_who_may_only_look_uploads_and_prints_nothing(self, looker: Client) -> None:
        batch = EnrollmentBatch.objects.create(name="x", created_by="user:1")
        make_terminal(batch=batch)
        assert upload(looker, line(1)).status_code == 403
        assert looker.post(page("enrollmentbatch_sheet", batch.pk)).status_code == 403
        shown = looker.get(page("enrollmentbatch_change", batch.pk))
        assert shown.status_code == 200 and "Make a sheet" not in shown.content.decode()
        assert looker.get(f"{page('enrollmentbatch_changelist')}abc/change/").status_code == 404
