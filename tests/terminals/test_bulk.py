"""Many terminals from a list: every bad line is told, nothing is half taken, and one sheet pairs them all."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone, translation

from portal.audit import Tag
from portal.models import AuditEvent
from terminals.keys import issuer
from terminals.life import bulk, stopping
from terminals.life.bulk_reading import LINES_MAX, LIST_MAX, BadList
from terminals.models import EnrollmentBatch, PairingCode, Terminal
from tests.cast import FUMANLOU, make_model, make_other_merchant, make_store, make_terminal
from tests.portal.parallel import at_once
from tests.terminals.units import Unit

pytestmark = pytest.mark.django_db(transaction=True)
HEAD = "number,serial,name,model,merchant,store"
MERCHANT = FUMANLOU["number"]


@pytest.fixture(autouse=True)
def shop() -> None:
    """A store and a model that lists can name."""
    make_store()
    make_model()


def line(count: int, **cells: str) -> str:
    """One good line, changed."""
    row = {"number": f"B{count:07}", "serial": f"RKB{count}", "name": f"{count} 号", "model": "RK-100"}
    row |= {"merchant": MERCHANT, "store": "南门店", **cells}
    out = io.StringIO()
    csv.writer(out).writerow(row.values())
    return out.getvalue().strip()


def listing(*lines: str, head: str = HEAD) -> bytes:
    """A list as an editor writes it."""
    return "\n".join([head, *lines]).encode()


def told(raw: bytes) -> list[tuple[int, str]]:
    """Where something is wrong with a list; nothing of it may be stored."""
    with pytest.raises(BadList) as bad:
        bulk.register(raw, "x", "user:1")
    assert not EnrollmentBatch.objects.exists() and all(str(each.text) for each in bad.value.problems)
    return [(each.line, each.column) for each in bad.value.problems]


class TestTaken:
    def test_a_list_becomes_a_batch(self) -> None:
        batch = bulk.register(listing(*(line(number) for number in range(1, 101))), "南门店开业", "user:1")
        assert batch.terminals.count() == 100 and batch.store == make_store()
        first = batch.terminals.get(number="B0000001")
        assert (first.serial, first.name, first.state) == ("RKB1", "1 号", Terminal.State.NEW)
        assert AuditEvent.objects.filter(tag=Tag.TERMINAL_ADDED).count() == 100

    def test_columns_may_stand_in_any_order_with_others_between_and_in_chinese(self) -> None:
        head = "备注,门店,商户号,型号,名称,序列号,终端号,电池"
        row = f"新,南门店,{MERCHANT},Rekey RK-100,前台,RKX1,B0000001,"
        batch = bulk.register(listing(row, head=head), "x", "user:1")
        assert batch.terminals.get().name == "前台"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_it_does_not_matter_which_program_wrote_it(self, encoding: str, newline: str) -> None:
        text = newline.join([HEAD, line(1, name="二楼收银台"), "", line(2), ""])
        batch = bulk.register(text.encode(encoding), "x", "user:1")
        assert set(batch.terminals.values_list("name", flat=True)) == {"二楼收银台", "2 号"}

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_nor_what_stands_between_the_cells(self, delimiter: str) -> None:
        text = "\n".join([HEAD, line(1)]).replace(",", delimiter)
        assert bulk.register(text.encode(), "x", "user:1").terminals.count() == 1

    def test_full_width_signs_spaces_and_small_letters_are_forgiven(self) -> None:
        raw = listing(
            line(
                1,
                number="ｂ００ ０１２３４",
                serial="'rk-9 9 ",
                merchant=" ８９８４４０１５８１２００３１ ",
                model="rk-100",
            )
        )
        terminal = bulk.register(raw, "x", "user:1").terminals.get()
        assert (terminal.number, terminal.serial) == ("B0001234", "RK-99")

    @pytest.mark.parametrize(("said", "power"), [("", "mains"), ("4G", "cellular"), ("市电", "mains")])
    def test_power_may_be_told(self, said: str, power: str) -> None:
        raw = listing(f"{line(1)},{said}", head=HEAD + ",power")
        assert bulk.register(raw, "x", "user:1").terminals.get().power == power

    def test_a_name_may_hold_commas_and_quotes(self) -> None:
        raw = listing(line(1, name='"大"厅,左'))
        assert bulk.register(raw, "x", "user:1").terminals.get().name == '"大"厅,左'


class TestRefused:
    def test_every_bad_line_is_told_and_nothing_is_stored(self) -> None:
        make_terminal(number="B0000009", serial="RK-THERE")
        make_store(make_other_merchant(), "东店")
        raw = listing(
            line(1),
            line(2, number="B1"),
            line(1, serial="RKB77"),
            line(4, serial="RKB1"),
            line(9),
            line(6, serial="rk-there"),
            line(7, store="东店"),
            line(8, merchant="123456789012345"),
            line(10, model="RK-9000"),
            line(11, name=""),
            line(12, serial="???"),
        )
        assert told(raw) == [
            (3, "number"), (4, "number"), (5, "serial"), (6, "number"), (7, "serial"), (8, "store"),
            (9, "merchant"), (10, "model"), (11, "name"), (12, "serial"),
        ]  # fmt: skip
        assert Terminal.objects.count() == 1

    @pytest.mark.parametrize(
        "cell", ["=1+1", "+49", "-2", "@SUM(A1)", '=HYPERLINK("http://x.example")', "＝1"]
    )
    def test_what_looks_like_a_formula_is_not_taken(self, cell: str) -> None:
        assert told(listing(line(1), line(2, name=cell))) == [(3, "name")]

    def test_a_number_that_a_spreadsheet_rounded_is_told_as_such(self) -> None:
        with translation.override("en"), pytest.raises(BadList) as bad:
            bulk.check(listing(line(1, merchant="8.9844E+14")))
        assert "rounded" in str(bad.value.problems[0].text)

    def test_a_model_that_two_vendors_have_needs_the_vendor(self) -> None:
        make_model(vendor="Other")
        assert told(listing(line(1))) == [(2, "model")]
        assert bulk.check(listing(line(1, model="other rk-100")))[0].model.vendor == "Other"

    @pytest.mark.parametrize(
        "raw",
        [b"", b"\n\n", HEAD.encode(), b"\x89PNG\r\n\x1a\n\0\0\0", b"PK\x03\x04\0\0", b"\xff\xfe\x00",
         b"x" * (LIST_MAX + 1), (HEAD + '\n"open,1').encode()],
    )  # fmt: skip
    def test_what_is_no_list_is_refused_as_a_whole(self, raw: bytes) -> None:
        assert len(told(raw)) >= 1

    def test_headings_are_needed_and_each_once(self) -> None:
        assert told(listing(line(1), head="serial,name,model,merchant,store,x")) == [(1, "number")]
        assert told(listing(line(1), head=HEAD + ",number")) == [(1, "number")]

    def test_lines_of_another_length_are_told(self) -> None:
        assert told(listing(line(1) + ",more", line(2).rpartition(",")[0])) == [(2, ""), (3, "store")]

    def test_lines_are_counted_as_an_editor_does(self) -> None:
        assert told(listing("", line(1, name="two\nlines"), "", line(2, number="?")))[0] == (3, "name")

    def test_more_than_five_hundred_are_refused(self) -> None:
        raw = listing(*(line(number) for number in range(LINES_MAX + 1)))
        assert told(raw) == [(LINES_MAX + 2, "")]

    def test_signs_that_nobody_sees_are_refused(self) -> None:
        assert told(listing(line(1, name="前\u202e台"), line(2, serial="RK\u200b1"))) == [
            (2, "name"),
            (3, "serial"),
        ]

    def test_of_two_uploads_of_one_list_at_once_one_is_taken(self) -> None:
        raw = listing(*(line(number) for number in range(1, 21)))

        def upload() -> bool:
            try:
                bulk.register(raw, "x", "user:1")
            except BadList:
                return False
            return True

        assert sorted(at_once(upload, upload)) == [False, True]
        assert Terminal.objects.count() == 20 and EnrollmentBatch.objects.count() == 1


@pytest.fixture
def batch(issuer_keys: object) -> EnrollmentBatch:
    """Three terminals that wait to be paired."""
    return bulk.register(listing(*(line(number) for number in (1, 2, 3))), "三台", "user:1")


class TestSheet:
    def test_each_code_pairs_its_terminal_all_day(self, batch: EnrollmentBatch) -> None:
        sheet = bulk.sheet(batch, "user:1")
        left = sheet[0].code.expires_at - timezone.now()
        assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)
        for each in sheet:
            assert Unit().pair(each.code.code).terminal.pk == each.terminal.pk
        assert bulk.sheet(batch, "user:1") == []

    def test_a_second_sheet_stops_the_first(self, batch: EnrollmentBatch) -> None:
        first, second = bulk.sheet(batch, "user:1"), bulk.sheet(batch, "user:1")
        assert Unit().enroll(first[0].code.code).status_code == 401
        assert Unit().enroll(second[0].code.code).status_code == 201

    def test_one_that_was_stopped_meanwhile_is_not_on_it(self, batch: EnrollmentBatch) -> None:
        stopping.quarantine(batch.terminals.all()[0], "user:1")
        assert len(bulk.sheet(batch, "user:1")) == 2

    def test_five_hundred_codes_are_found_selectors(self, issuer_keys: object) -> None:
        raw = listing(*(line(number) for number in range(LINES_MAX)))
        sheet = bulk.sheet(bulk.register(raw, "x", "user:1"), "user:1")
        assert len({each.code.code for each in sheet}) == LINES_MAX
        assert Unit().pair(sheet[-1].code.digits).terminal.pk == sheet[-1].terminal.pk

    def test_without_issuer_keys_there_is_none(self, batch: EnrollmentBatch) -> None:
        issuer.Keyset.objects.all().delete()
        with pytest.raises(issuer.NoKeyset):
            bulk.sheet(batch, "user:1")
        assert not PairingCode.objects.exists()


class TestCommandLine:
    def run(self, path: Path, *options: str) -> str:
        """What the command printed."""
        out = StringIO()
        call_command("registerterminals", str(path), *options, stdout=out, stderr=StringIO())
        return out.getvalue()

    def test_it_registers_and_prints_codes_that_pair(self, issuer_keys: object, tmp_path: Path) -> None:
        path = tmp_path / "tills.csv"
        path.write_bytes(listing(line(1), line(2)))
        assert "2 terminals can be registered" in self.run(path, "--check") and not Terminal.objects.exists()
        rows: list[dict[str, Any]] = list(csv.DictReader(StringIO(self.run(path, "--codes"))))
        assert EnrollmentBatch.objects.get().name == "tills"
        assert Unit().pair(rows[0]["code"]).terminal.number == rows[0]["number"]

    def test_it_names_every_bad_line(self, tmp_path: Path) -> None:
        path = tmp_path / "tills.csv"
        path.write_bytes(listing(line(1), line(2, number="B1"), line(3, serial="?")))
        with translation.override("en"), pytest.raises(CommandError) as error:
            self.run(path)
        assert "line 3: number" in str(error.value) and "line 4: serial" in str(error.value)
        with pytest.raises(CommandError):
            self.run(tmp_path / "nowhere.csv")
        assert not Terminal.objects.exists()


def test_a_merchant_needs_a_store_before_it_can_have_terminals() -> None:
    assert partial(told, listing(line(1, merchant="898440158120000")))() == [(2, "merchant")]
