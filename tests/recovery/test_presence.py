"""A recovery that somebody starts at the terminal: whose it is, what is proved there, and what that opens."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.models import AuditEvent, Message
from recovery import flow
from recovery.authority import NotAllowed
from recovery.models import Recovery
from terminals import requests
from terminals.models import RecoveryRequest, Terminal
from tests.cast import PairedTill, make_other_merchant, make_terminal, pair_on_paper
from tests.recovery.test_enumeration import COOKIE_VALUES, NONCES, kind_of
from tests.recovery.visitor import PHONE, Visitor, make_shop, texts_to

pytestmark = pytest.mark.django_db
State = Recovery.State
FORM_KEYS = re.compile(rb'(?<=name="form" value=")[^"]+')
OTHER_PHONE = "13800002054"


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


@pytest.fixture
def visitor(till: PairedTill) -> Visitor:
    return Visitor()


def show(till: PairedTill, operator: str = "03") -> requests.Shown:
    return requests.open_request(till.terminal, operator)


def not_on_screen(shown: requests.Shown) -> str:
    return "11" if shown.match != "11" else "12"


def words(answer: Any) -> str:
    return str(answer.content.decode())


class TestTheWayThrough:
    def test_from_the_qr_to_a_command_with_the_id_the_screen_knows(
        self, visitor: Visitor, till: PairedTill
    ) -> None:
        shown = show(till)
        assert visitor.scan(shown).url == "/code"
        visitor.worker()
        assert texts_to() == 1
        assert visitor.post("code", code=visitor.code).url == "/match"
        assert visitor.post("match", number=shown.match).url == "/password"
        assert visitor.set_password().url == "/status"
        command = visitor.recovery.command
        assert command is not None
        assert (command.terminal, command.operator_number) == (till.terminal, "03")
        assert command.recovery_ref == shown.rid
        request = RecoveryRequest.objects.get()
        assert (request.state, request.command) == ("done", command)
        assert requests.wire_state(request, timezone.now()) == "done"

    def test_the_code_can_be_typed_instead_of_scanned(self, visitor: Visitor, till: PairedTill) -> None:
        shown = show(till)
        answer: Any = visitor.post("user_code", code=shown.user_code.lower())
        assert answer.url == f"/t/{shown.user_code.replace('-', '')}"
        assert shown.user_code in words(visitor.client.get(answer.url))

    def test_looking_at_the_qr_address_changes_nothing(self, visitor: Visitor, till: PairedTill) -> None:
        shown = show(till)
        for _ in range(30):
            assert visitor.get("phone", shown.user_code).status_code == 200
        assert RecoveryRequest.objects.get().state == "pending"
        assert not Recovery.objects.exists()

    @pytest.mark.parametrize("address", ["/t/AAAAAAAA", "/t/bcdfghja"])
    def test_an_address_that_holds_no_code_leads_to_the_page_that_asks(
        self, visitor: Visitor, address: str
    ) -> None:
        answer: Any = visitor.client.get(address)
        assert answer.url == "/t"

    @pytest.mark.parametrize("address", ["/t/%00", "/t/BCDF1HJK", "/t/BCDFGHJKL"])
    def test_an_address_of_another_shape_is_not_there(self, visitor: Visitor, address: str) -> None:
        assert visitor.client.get(address).status_code == 404

    @pytest.mark.parametrize("typed", ["", "BCDF", "BCDF-GHJA", "12345678", "x" * 64])
    def test_what_cannot_be_a_code_is_a_form_error(self, visitor: Visitor, typed: str) -> None:
        assert visitor.post("user_code", code=typed).status_code == 200

    def test_it_skips_the_choice_of_terminal_and_operator(self, visitor: Visitor, till: PairedTill) -> None:
        second = pair_on_paper(make_terminal(store=till.terminal.store, name="二楼"))
        shown = show(second)
        visitor.prove_at(shown)
        visitor.post("match", number=shown.match)
        recovery = visitor.recovery
        assert (recovery.terminal, recovery.operator_number) == (second.terminal, "03")
        assert (recovery.state, recovery.door) == (State.SETTING, Recovery.Door.TERMINAL)

    def test_the_page_says_which_terminal_where_and_when_seen_and_asks_if_it_is_there(
        self, visitor: Visitor, till: PairedTill
    ) -> None:
        visitor.client.cookies["rekey_lang"] = "en"
        visitor.prove_at(show(till))
        page = words(visitor.client.get("/match", headers={"Accept-Language": "en"}))
        for fact in (till.terminal.name, till.terminal.number, till.terminal.store.name, "RK-100", "王芳"):
            assert fact in page
        assert "Is the terminal in front of you?" in page and "Never connected yet" in page

    def test_none_of_that_is_said_before_the_code_from_the_text(
        self, visitor: Visitor, till: PairedTill
    ) -> None:
        shown = show(till)
        seen = words(visitor.get("phone", shown.user_code))
        visitor.scan(shown)
        visitor.worker()
        seen += words(visitor.get("code"))
        assert till.terminal.number not in seen and till.terminal.store.name not in seen
        assert shown.match not in visitor.get("phone", shown.user_code).request["PATH_INFO"]


class TestTheMatchNumber:
    def test_it_is_a_recorded_proof(self, visitor: Visitor, till: PairedTill) -> None:
        shown = show(till)
        visitor.prove_at(shown)
        assert visitor.recovery.possession_at is None
        visitor.post("match", number=shown.match)
        assert visitor.recovery.possession_at is not None
        assert RecoveryRequest.objects.get().proved_at is not None
        event = AuditEvent.objects.get(tag="recovery:recovery:stood-at-terminal")
        assert event.facts == {"request": shown.rid}

    @pytest.mark.parametrize("page", ["terminal", "operator", "password", "remembered", "status", "offline"])
    def test_no_page_behind_it_opens_before(self, visitor: Visitor, till: PairedTill, page: str) -> None:
        visitor.prove_at(show(till))
        assert visitor.get(page).url == "/match"
        answer = visitor.post(page, operator="03", terminal=till.terminal.pk)
        assert answer.status_code == 405 or answer.url == "/match"
        assert visitor.recovery.state == State.PROVED

    def test_nor_does_the_flow_itself_give_way(self, visitor: Visitor, till: PairedTill) -> None:
        visitor.prove_at(show(till))
        with pytest.raises(NotAllowed) as refusal:
            flow.choose_operator(visitor.recovery, "03")
        assert refusal.value.reason == "possession"

    def test_a_wrong_number_says_how_many_tries_are_left(self, visitor: Visitor, till: PairedTill) -> None:
        shown = show(till)
        visitor.prove_at(shown)
        answer = visitor.client.post(
            "/match", {"number": not_on_screen(shown)}, headers={"Accept-Language": "en"}
        )
        assert "2 tries left" in words(answer)
        assert visitor.post("match", number=shown.match).url == "/password"

    @pytest.mark.parametrize("typed", ["", "4", "444", "4x", "٤٧", "-1"])
    def test_what_cannot_be_one_costs_no_try(self, visitor: Visitor, till: PairedTill, typed: str) -> None:
        visitor.prove_at(show(till))
        assert visitor.post("match", number=typed).status_code == 200
        assert RecoveryRequest.objects.get().tries == 0

    def test_three_wrong_ones_end_it_for_the_phone_and_for_the_screen(
        self, visitor: Visitor, till: PairedTill
    ) -> None:
        shown = show(till)
        visitor.prove_at(shown)
        answers = [visitor.post("match", number=not_on_screen(shown)) for _ in range(3)]
        assert answers[-1].url == "/stopped"
        assert visitor.post("match", number=shown.match).url == "/stopped"
        assert visitor.get("stopped").status_code == 200
        recovery = visitor.recovery
        assert (recovery.state, recovery.reason) == (State.ABANDONED, "match_burned")
        assert RecoveryRequest.objects.get().state == "denied"

    def test_no_it_is_not_in_front_of_me_ends_it_and_the_screen_says_so(
        self, visitor: Visitor, till: PairedTill
    ) -> None:
        visitor.prove_at(show(till))
        assert visitor.post("not_here").url == "/stopped"
        assert RecoveryRequest.objects.get().state == "denied"
        assert visitor.recovery.state == State.ABANDONED
        assert AuditEvent.objects.get(tag="recovery:recovery:denied").facts == {"reason": "denied"}
        assert visitor.get("operator").url == "/stopped"

    def test_after_ten_minutes_the_screen_has_run_out(self, visitor: Visitor, till: PairedTill) -> None:
        shown = show(till)
        visitor.prove_at(shown)
        with time_machine.travel(timezone.now() + timedelta(minutes=11)):
            assert visitor.post("match", number=shown.match).url == "/stopped"
            assert visitor.recovery.reason == "screen_ran_out"

    def test_a_newer_request_at_the_terminal_ends_the_one_on_the_phone(
        self, visitor: Visitor, till: PairedTill
    ) -> None:
        shown = show(till)
        visitor.prove_at(shown)
        show(till)
        assert visitor.post("match", number=shown.match).url == "/stopped"

    def test_a_terminal_stopped_meanwhile_takes_no_reset(self, visitor: Visitor, till: PairedTill) -> None:
        shown = show(till)
        visitor.prove_at(shown)
        visitor.post("match", number=shown.match)
        Terminal.objects.update(state=Terminal.State.QUARANTINED)
        visitor.set_password()
        assert visitor.recovery.command is None


class TestWhoseItIs:
    def test_the_first_browser_that_proves_to_be_the_shops_gets_it_and_the_second_chooses_by_itself(
        self, till: PairedTill
    ) -> None:
        pair_on_paper(make_terminal(store=till.terminal.store, name="二楼"))
        shown = show(till)
        first, second = Visitor(), Visitor()
        for each in (first, second):
            each.scan(shown)
            each.worker()
        assert first.post("code", code=first.code).url == "/match"
        assert second.post("code", code=second.code).url == "/terminal"
        assert second.recovery.request is None
        assert second.recovery.possession_at is None

    def test_the_phone_of_another_shop_gets_no_text(self, visitor: Visitor, till: PairedTill) -> None:
        make_other_merchant()
        visitor.scan(show(till), phone=OTHER_PHONE)
        visitor.worker()
        assert not Message.objects.exists()

    def test_the_terminal_stays_the_one_it_was_started_at(self, visitor: Visitor, till: PairedTill) -> None:
        second = pair_on_paper(make_terminal(store=till.terminal.store, name="二楼"))
        shown = show(till)
        visitor.prove_at(shown)
        visitor.post("match", number=shown.match)
        visitor.post("terminal", terminal=second.terminal.pk)
        assert visitor.recovery.terminal == till.terminal
        with pytest.raises(flow.OutOfStep):
            flow.choose_terminal(visitor.recovery, second.terminal.pk)


class TestWhatItOpens:
    def test_phone_and_terminal_together_open_the_supervisor(
        self, visitor: Visitor, till: PairedTill
    ) -> None:
        shown = show(till, "00")
        visitor.prove_at(shown)
        assert visitor.post("match", number=shown.match).url == "/password"
        visitor.set_password("719402")
        command = visitor.recovery.command
        assert command is not None and command.operator_number == "00"

    def test_they_do_not_open_maintenance_and_the_screen_is_told(
        self, visitor: Visitor, till: PairedTill
    ) -> None:
        shown = show(till, "99")
        visitor.prove_at(shown)
        assert visitor.post("match", number=shown.match).url == "/prove/99"
        assert visitor.get("prove", "99").status_code == 200
        assert RecoveryRequest.objects.get().state == "denied"
        with pytest.raises(NotAllowed):
            flow.choose_operator(visitor.recovery, "99")

    def test_the_refusal_of_the_supervisor_shows_the_way_to_the_terminal(
        self, visitor: Visitor, till: PairedTill
    ) -> None:
        visitor.prove()
        assert visitor.choose("00").url == "/prove/00"
        assert 'value="possession"' in words(visitor.get("prove", "00"))
        assert 'href="/t"' in words(visitor.get("prove_at_terminal", "00"))
        assert visitor.choose("99").url == "/prove/99"
        assert 'value="possession"' not in words(visitor.get("prove", "99"))


class TestNothingIsTold:
    def road(self, visitor: Visitor, code: str, phone: str) -> list[Any]:
        """What a stranger with a code sees and costs, step by step."""
        seen: list[Any] = []

        def note(act: Any) -> None:
            with CaptureQueriesContext(connection) as queries:
                answer = act()
            set_cookies = (each.OutputString() for each in answer.cookies.values())
            cookies = sorted(COOKIE_VALUES.sub("=*; ", text) for text in set_cookies)
            body = FORM_KEYS.sub(b"*", NONCES.sub(b"*", answer.content))
            for form in (code, code.replace("-", "")):
                body = body.replace(form.encode(), b"*")
            sqls = [kind_of(query["sql"]) for query in queries]
            seen.append((answer.status_code, cookies, body, sqls))

        address = f"/t/{code.replace('-', '')}"
        note(lambda: visitor.client.get(address))
        note(lambda: visitor.client.post(address, {"phone": phone, "form": ""}))
        visitor.worker()
        note(lambda: visitor.get("code"))
        for _ in range(6):
            note(lambda: visitor.post("code", code=visitor.wrong_code))
        return seen

    def test_T03_a_code_that_does_not_exist_looks_like_one_that_does(self, till: PairedTill) -> None:
        start = timezone.now().replace(minute=10, second=0, microsecond=0)
        with time_machine.travel(start, tick=False):
            roads = {}
            shown = show(till)
            codes = {
                "known": (shown.user_code, PHONE),
                "known, another phone": (shown.user_code, "13800007777"),
                "unknown": ("ZZZZ-ZZZZ", PHONE),
            }
            visitors = {name: Visitor() for name in codes}
            for visitor in visitors.values():
                visitor.get("identify")
            for name, (code, phone) in codes.items():
                roads[name] = self.road(visitors[name], code, phone)
            used = requests.asked_at_shop(
                requests.digest_of(shown.user_code.replace("-", "")), till.terminal.store.merchant, start
            )
            assert used is not None
            requests.deny(used.id)
            visitors["over"] = Visitor()
            visitors["over"].get("identify")
            roads["over"] = self.road(visitors["over"], shown.user_code, PHONE)
        assert texts_to() == 1
        tail = {name: road for name, road in roads.items() if name != "known, another phone"}
        for name, road in tail.items():
            assert road == roads["known"], name
        masked = [
            (status, cookies, body.replace(b"7777", b"2046"), sqls)
            for status, cookies, body, sqls in roads["known, another phone"]
        ]
        assert masked == roads["known"]

    def test_twenty_codes_an_hour_from_one_address_and_no_more(self, visitor: Visitor) -> None:
        answers = [visitor.post("user_code", code="BCDF-GHJK").status_code for _ in range(21)]
        assert answers == [302] * 20 + [429]

    def test_asking_for_texts_by_code_counts_in_the_same_bucket(self, visitor: Visitor) -> None:
        for _ in range(20):
            visitor.client.post("/t/BCDFGHJK", {"phone": "1"})
        assert visitor.client.post("/t/BCDFGHJK", {"phone": PHONE}).status_code == 429
        assert visitor.client.get("/t/BCDFGHJK").status_code == 200
