"""An owner's own pages: plain words about the own shop, and nothing of anybody else's."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from portal.audit import Tag
from portal.models import AuditEvent
from terminals import alerts, commands, overview
from terminals.keys import issuer
from terminals.models import Command, PairingCode, Terminal, TerminalAlert, TerminalStatus
from terminals.protocol import new_id
from tests.cast import (
    PairedTill,
    make_merchant,
    make_model,
    make_other_merchant,
    make_owner,
    make_staff,
    make_store,
    make_terminal,
    signed_in,
)
from tests.terminals.units import Unit
from tests.terminals.work import reset

pytestmark = pytest.mark.django_db
PAGES = ["home", "reset_history", "terminal_new"]
OF_ONE = ["terminal", "terminal_edit", "terminal_stop", "terminal_swap", "pair"]
POSTS = ["pair_new", "pair_revoke"]


def url(name: str, *args: str) -> str:
    """The address of an owner's page."""
    return reverse(f"terminals:{name}", args=args)


@pytest.fixture
def browser(till: PairedTill) -> Client:
    """The owner of 福满楼, signed in with both factors, reading English."""
    client = signed_in(make_owner())
    client.get("/lang/en?next=/home")
    return client


def text(answer: Any) -> str:
    """The words of a page, without its tags."""
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def report(till: PairedTill, **changes: Any) -> None:
    """The terminal has just sent an inventory in which 03 is as told."""
    entry = {"op": "03", "role": "ordinary", "locked": False, "age_days": 40, "tries_left": 5, "weak": None}
    TerminalStatus.objects.update_or_create(
        terminal=till.terminal,
        defaults={
            "inventory": {"operators": [entry | changes]},
            "last_seen_at": timezone.now(),
            "battery": 83,
        },
    )


class TestWhoMayLook:
    @pytest.mark.parametrize("name", PAGES + OF_ONE)
    def test_nobody_without_signing_in_with_both_factors(self, till: PairedTill, name: str) -> None:
        address = url(name, *([till.terminal.pk] if name in OF_ONE else []))
        for client in (Client(), signed_in(make_owner(), second_factor=False)):
            answer = client.get(address)
            assert answer.status_code == 302 and answer["Location"].startswith(reverse("portal:sign_in"))

    @pytest.mark.parametrize("name", PAGES)
    def test_staff_have_a_desk_of_their_own(self, till: PairedTill, name: str) -> None:
        assert signed_in(make_staff()).get(url(name)).status_code == 403

    @pytest.mark.parametrize("name", OF_ONE + POSTS)
    def test_anothers_terminal_is_not_there_just_as_one_that_does_not_exist(
        self, browser: Client, name: str
    ) -> None:
        theirs = make_terminal(make_other_merchant()).pk
        ask = browser.post if name in POSTS else browser.get
        answers = [ask(url(name, pk)) for pk in (theirs, new_id("trm"))]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert (
            Terminal.objects.get(pk=theirs).state == Terminal.State.NEW and not PairingCode.objects.exists()
        )

    @pytest.mark.parametrize("odd", ["%00", "..%2F", "trm_short", "'", "trm_0123456789abcde%00"])
    def test_odd_addresses_are_not_found(self, browser: Client, odd: str) -> None:
        assert browser.get(f"/terminals/{odd}").status_code == 404

    def test_pages_are_not_kept_by_anybody(self, browser: Client) -> None:
        assert "no-store" in browser.get(url("home"))["Cache-Control"]


class TestHome:
    def test_a_shop_in_which_all_is_well(self, browser: Client, till: PairedTill) -> None:
        report(till)
        page = text(browser.get(url("home")))
        assert "福满楼" in page and "前台" in page and till.terminal.number in page
        assert "Yes, as far as the terminals have told us" in page

    def test_it_names_who_cannot_sign_on_and_leads_to_the_reset(
        self, browser: Client, till: PairedTill
    ) -> None:
        report(till, locked=True)
        answer = browser.get(url("home"))
        assert "03 王芳" in text(answer)
        assert reverse("recovery:start_signed_in", args=[till.terminal.pk, "03"]) in answer.content.decode()

    def test_it_says_what_needs_doing(self, browser: Client, till: PairedTill) -> None:
        report(till, weak="default")
        make_terminal(name="二楼")
        TerminalStatus.objects.filter(terminal=till.terminal).update(
            last_seen_at=timezone.now() - timedelta(days=4)
        )
        page = text(browser.get(url("home")))
        assert "二楼 is not paired yet" in page and "still has the factory password" in page
        assert "has not connected since" in page

    def test_an_open_reset_and_what_came_of_others_are_told(self, browser: Client, till: PairedTill) -> None:
        done = reset(till, "01")
        commands.applied(done, timezone.now())
        commands.signed_on(Command.objects.get(pk=done.pk), timezone.now())
        reset(till, "03")
        page = text(browser.get(url("home")))
        assert "waiting for the terminal" in page.lower() and "01 陈静 signed on at 前台" in page

    def test_another_shop_leaves_no_trace_here(self, browser: Client) -> None:
        make_terminal(make_other_merchant(), name="隔壁")
        AuditEvent.objects.create(tag=Tag.PAIRED, subject=Terminal.objects.get(name="隔壁").pk)
        assert "隔壁" not in text(browser.get(url("home")))

    def test_the_number_of_queries_does_not_grow_with_the_shop(
        self, browser: Client, till: PairedTill, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(5):
            make_terminal(name=f"窗口{number}")
        with django_assert_max_num_queries(16):
            browser.get(url("home"))

    def test_a_shop_without_terminals_is_told_the_first_step(self) -> None:
        make_merchant()
        page = signed_in(make_owner()).get(url("home")).content.decode()
        assert url("terminal_new") in page


class TestTerminal:
    def test_operators_are_told_as_the_terminal_last_reported_them(
        self, browser: Client, till: PairedTill
    ) -> None:
        report(till, tries_left=2)
        page = text(browser.get(url("terminal", till.terminal.pk)))
        assert "03 王芳" in page and "2 tries left" in page and "40 days" in page and "83 %" in page
        assert "not reported" in page and "needs one more proof" in page

    def test_an_operator_whom_only_the_terminal_knows_is_shown(
        self, browser: Client, till: PairedTill
    ) -> None:
        report(till, op="42")
        assert "42 known to the terminal only" in text(browser.get(url("terminal", till.terminal.pk)))

    @pytest.mark.parametrize(
        ("told", "state"),
        [({}, "ok"), ({"locked": True}, "locked"), ({"tries_left": 0}, "locked"),
         ({"tries_left": 1}, "tries"), ({"weak": "default"}, "factory"), ({"weak": "common"}, "ok")],
    )  # fmt: skip
    def test_the_most_pressing_thing_is_said(
        self, till: PairedTill, told: dict[str, Any], state: str
    ) -> None:
        report(till, **told)
        terminal = overview.terminals_of(till.terminal.store.merchant).get()
        lines = {line.number: line.state for line in overview.operator_lines(terminal, timezone.now())}
        assert lines["03"] == state and lines["01"] == "unknown"

    def test_a_terminal_is_renamed_and_moved_within_the_shop(self, browser: Client, till: PairedTill) -> None:
        north = make_store(name="北街店")
        answer = browser.post(url("terminal_edit", till.terminal.pk), {"name": "二楼", "store": north.pk})
        assert answer.status_code == 302
        now = Terminal.objects.get()
        assert (now.name, now.store, now.sign_kid) == ("二楼", north, till.terminal.sign_kid)

    def test_it_cannot_be_moved_into_anothers_store(self, browser: Client, till: PairedTill) -> None:
        theirs = make_store(make_other_merchant(), "东店")
        answer = browser.post(url("terminal_edit", till.terminal.pk), {"name": "前台", "store": theirs.pk})
        assert "Choose one of your stores" in text(answer)
        assert Terminal.objects.get().store != theirs

    def test_a_lost_terminal_is_stopped_after_a_question(self, browser: Client, till: PairedTill) -> None:
        command = reset(till)
        address = url("terminal_stop", till.terminal.pk)
        assert "Stop 前台?" in text(browser.get(address))
        assert Terminal.objects.get().state == Terminal.State.ACTIVE
        assert "Say what happened." in text(browser.post(address))
        assert browser.post(address, {"reason": "lost"}).status_code == 302
        assert Terminal.objects.get().state == Terminal.State.QUARANTINED
        assert Command.objects.get(pk=command.pk).state == Command.State.EXPIRED
        page = text(browser.get(url("terminal", till.terminal.pk)))
        assert "Stopped : lost" in page and "it is shut out for good" in page

    def test_a_terminal_that_says_another_serial_is_told_to_the_owner(
        self, browser: Client, till: PairedTill
    ) -> None:
        kind, kept = TerminalAlert.Kind.SERIAL_DIFFERS, till.terminal.serial
        alerts.raise_alert(kind, till.terminal, reported="RK-OTHER", on_record=kept)
        assert "RK-OTHER" in text(browser.get(url("terminal", till.terminal.pk)))


class TestReplacing:
    def post(self, browser: Client, till: PairedTill, **changes: Any) -> Any:
        """Replace the till by the machine whose sticker says so."""
        typed = {"model": make_model().pk, "number": "b000 0001", "serial": " rk-new-1", **changes}
        return browser.post(url("terminal_swap", till.terminal.pk), typed)

    def test_a_new_machine_takes_the_place_and_is_paired_next(
        self, browser: Client, till: PairedTill
    ) -> None:
        assert "chooses a new password" in text(browser.get(url("terminal_swap", till.terminal.pk)))
        answer = self.post(browser, till)
        new = Terminal.objects.get(number="B0000001")
        assert answer["Location"] == url("pair", new.pk)
        old = text(browser.get(url("terminal", till.terminal.pk)))
        assert "In its place stands" in old and "B0000001" in old
        home = browser.get(url("home"))
        assert [row.terminal.pk for row in home.context["rows"]] == [new.pk]

    def test_a_machine_that_waits_in_the_shop_may_be_the_one(self, browser: Client, till: PairedTill) -> None:
        spare = make_terminal(operators=False, name="备用机")
        self.post(browser, till, number=spare.number, serial=spare.serial)
        assert Terminal.objects.get(pk=till.terminal.pk).replaced_by == spare

    @pytest.mark.parametrize(
        ("theirs", "said"), [(False, "in use already"), (True, "registered already")], ids=["own", "others"]
    )
    def test_one_that_is_somebodys_is_not(
        self, browser: Client, till: PairedTill, theirs: bool, said: str
    ) -> None:
        taken = make_terminal(make_other_merchant() if theirs else None)
        answer = self.post(browser, till, number=taken.number, serial=taken.serial)
        assert said in text(answer)
        answer = self.post(browser, till, number=taken.number)
        assert "registered already" in text(answer) and Terminal.objects.filter(state="revoked").count() == 0

    @pytest.mark.parametrize("change", [{"number": "?"}, {"serial": ""}, {"model": "0"}, {"number": "B\0"}])
    def test_what_cannot_be_is_said_beside_the_field(
        self, browser: Client, till: PairedTill, change: dict[str, str]
    ) -> None:
        assert next(iter(change)) in self.post(browser, till, **change).context["form"].errors

    def test_nobody_replaces_a_terminal_twice(self, browser: Client, till: PairedTill) -> None:
        self.post(browser, till)
        assert "replaced already" in text(self.post(browser, till, number="B0000002", serial="RK-NEW-2"))


class TestAdding:
    def fields(self, **changes: Any) -> dict[str, Any]:
        """A new terminal as the owner types it."""
        typed = {"name": "二楼", "number": "a001 2388", "serial": " rk20269999 "}
        return {**typed, "store": make_store().pk, "model": make_model().pk, **changes}

    def test_a_terminal_is_added_and_then_paired(self, browser: Client) -> None:
        answer = browser.post(url("terminal_new"), self.fields(number="Ａ００１２３８８"))
        added = Terminal.objects.get(name="二楼")
        assert answer["Location"] == url("pair", added.pk)
        assert (added.number, added.serial, added.state) == ("A0012388", "RK20269999", Terminal.State.NEW)
        assert AuditEvent.objects.filter(tag=Tag.TERMINAL_ADDED, subject=added.pk).exists()

    @pytest.mark.parametrize(
        "change",
        [{"number": "A001"}, {"number": "A00123é8"}, {"serial": "?"}, {"name": ""}, {"name": "x" * 41},
         {"model": "0"}, {"store": "x"}, {"number": "A0012388\0"}, {"serial": "x" * 500}],
    )  # fmt: skip
    def test_what_cannot_be_is_said_beside_the_field(self, browser: Client, change: dict[str, str]) -> None:
        answer = browser.post(url("terminal_new"), self.fields(**change))
        assert answer.status_code == 200 and next(iter(change)) in answer.context["form"].errors
        assert not Terminal.objects.filter(name="二楼").exists()

    def test_a_terminal_is_registered_once(self, browser: Client, till: PairedTill) -> None:
        answer = browser.post(url("terminal_new"), self.fields(number=till.terminal.number))
        assert "registered already" in text(answer)

    def test_anothers_store_is_not_on_offer(self, browser: Client) -> None:
        theirs = make_store(make_other_merchant(), "东店")
        assert "东店" not in text(browser.get(url("terminal_new")))
        browser.post(url("terminal_new"), self.fields(store=theirs.pk))
        assert not theirs.terminals.exists()


class TestPairing:
    def test_a_code_is_shown_once_and_pairs_the_terminal(self, browser: Client) -> None:
        terminal = make_terminal(name="二楼")
        assert "Show a pairing code" in text(browser.get(url("pair", terminal.pk)))
        answer = browser.post(url("pair_new", terminal.pk))
        code = answer.context["code"]
        page = answer.content.decode()
        assert code.code in page and code.digits in page and "<svg" in page and "style=" not in page
        assert 890 <= answer.context["seconds_left"] <= 900
        assert code.code not in browser.get(url("pair", terminal.pk)).content.decode()
        Unit().pair(code.code)
        assert "Paired." in text(browser.get(url("pair", terminal.pk)))

    def test_a_code_that_ran_out_is_told_as_such(self, browser: Client) -> None:
        terminal = make_terminal()
        browser.post(url("pair_new", terminal.pk))
        PairingCode.objects.update(expires_at=timezone.now())
        assert "This code has expired" in text(browser.get(url("pair", terminal.pk)))

    def test_a_code_can_be_withdrawn(self, browser: Client) -> None:
        terminal = make_terminal()
        code = browser.post(url("pair_new", terminal.pk)).context["code"]
        assert browser.post(url("pair_revoke", terminal.pk)).status_code == 302
        assert Unit().enroll(code.code).status_code == 401
        assert AuditEvent.objects.filter(tag=Tag.PAIRING_REVOKED, subject=terminal.pk).count() == 1

    def test_looking_makes_no_code(self, browser: Client, till: PairedTill) -> None:
        assert browser.get(url("pair_new", till.terminal.pk)).status_code == 405
        assert not PairingCode.objects.exists()

    def test_a_stopped_terminal_gets_no_code(self, browser: Client, till: PairedTill) -> None:
        Terminal.objects.update(state=Terminal.State.QUARANTINED)
        answer = browser.post(url("pair_new", till.terminal.pk), follow=True)
        assert "cannot be paired" in text(answer) and not PairingCode.objects.exists()

    def test_without_issuer_keys_the_owner_is_told_whom_to_ask(
        self, browser: Client, till: PairedTill
    ) -> None:
        issuer.Keyset.objects.all().delete()
        answer = browser.post(url("pair_new", till.terminal.pk), follow=True)
        assert "not set up" in text(answer)


class TestHistory:
    def test_resets_are_listed_newest_first_page_by_page(self, browser: Client, till: PairedTill) -> None:
        for _ in range(30):
            reset(till)
        first = browser.get(url("reset_history"))
        assert len(first.context["rows"]) == 25 and first.context["rows"][0].kind == "wait"
        assert "03 王芳" in text(first)
        assert len(browser.get(url("reset_history") + "?page=2").context["rows"]) == 5

    @pytest.mark.parametrize("page", ["x", "-1", "999", "\0", "1e9"])
    def test_an_odd_page_number_shows_some_page(self, browser: Client, page: str) -> None:
        assert browser.get(url("reset_history"), {"page": page}).status_code == 200

    def test_how_long_it_took_is_told(self, browser: Client, till: PairedTill) -> None:
        command = reset(till)
        Command.objects.update(created_at=timezone.now() - timedelta(seconds=75))
        command.refresh_from_db()
        commands.applied(command, timezone.now())
        row = browser.get(url("reset_history")).context["rows"][0]
        with translation.override("en"):
            assert (row.kind, row.took) == ("go", "1 min 15 s")


def test_no_page_of_an_owner_shows_a_phone_or_a_key(browser: Client, till: PairedTill) -> None:
    report(till)
    addresses = [url(name) for name in PAGES] + [url(name, till.terminal.pk) for name in OF_ONE]
    for address in addresses:
        page = browser.get(address).content.decode()
        assert (
            "13800002046" not in page
            and till.sign_key["x"] not in page
            and str(till.terminal.sign_kid) not in page
        )
