"""Recoveries started at a terminal: what its screen gets, who may see what, and what is counted."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.admin_site import change_address
from portal.models import AuditEvent
from terminals import inbox, requests
from terminals.models import OfflineUnlock, Operator, RecoveryRequest, Terminal
from terminals.protocol import RECOVERY_LIFETIME
from tests.cast import (
    PairedTill,
    make_other_merchant,
    make_staff,
    make_terminal,
    pair_on_paper,
    signed_in,
)

pytestmark = pytest.mark.django_db
State = RecoveryRequest.State
DOOR = "/terminal/v1/recoveries"


@pytest.fixture
def till() -> PairedTill:
    return pair_on_paper()


def ask(till: PairedTill, body: Any = None) -> Any:
    """`POST recoveries`."""
    raw = json.dumps({"op": "03"} if body is None else body)
    return Client().post(DOOR, raw, "application/json", headers=till.authorization())


def state_at(till: PairedTill, rid: str) -> Any:
    """`GET recoveries/{rid}`."""
    return Client().get(f"{DOOR}/{rid}", headers=till.authorization())


def opened(till: PairedTill) -> requests.Shown:
    return requests.open_request(till.terminal, "03")


def bound(till: PairedTill) -> tuple[requests.Shown, str]:
    """A request that a browser of the shop has opened, and a number that is not on the screen."""
    shown = opened(till)
    code = shown.user_code.replace("-", "")
    assert requests.bind(requests.digest_of(code), till.terminal.store.merchant)
    return shown, "11" if shown.match != "11" else "12"


class TestTheDoor:
    def test_the_screen_gets_a_code_a_qr_address_and_a_match_number_that_is_in_neither(
        self, till: PairedTill
    ) -> None:
        answer = ask(till)
        assert answer.status_code == 201 and answer["Cache-Control"] == "no-store"
        body = answer.json()
        assert re.fullmatch(r"[B-Z]{4}-[B-Z]{4}", body["user_code"])
        assert (body["expires_in"], body["interval"]) == (600, 3)
        assert body["verification_uri_complete"].endswith("/t/" + body["user_code"].replace("-", ""))
        assert re.fullmatch("[1-9][0-9]", body["match"])
        assert not re.search("[0-9]", body["user_code"])
        assert state_at(till, body["rid"]).json() == {"state": "pending"}
        assert AuditEvent.objects.filter(tag="terminals:recovery:asked", subject=body["rid"]).exists()

    def test_the_poll_is_fast_until_it_expires(
        self, till: PairedTill, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            opened(till)
        until = inbox.read(till.terminal.id).hurry_until
        assert abs(until - int(RecoveryRequest.objects.get().expires_at.timestamp())) <= 1

    def test_with_redis_away_it_is_opened_all_the_same(
        self, till: PairedTill, settings: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        settings.REDIS_URL = "redis://127.0.0.1:9/0"
        with django_capture_on_commit_callbacks(execute=True):
            assert opened(till)

    def test_neither_code_nor_number_is_kept_as_it_is(self, till: PairedTill) -> None:
        shown = opened(till)
        row = str(RecoveryRequest.objects.values())
        assert shown.user_code not in row and shown.user_code.replace("-", "") not in row
        assert f"'{shown.match}'" not in row

    @pytest.mark.parametrize("body", [{}, {"op": "3"}, {"op": 3}, {"op": "٠٣"}, {"op": "003"}, []])
    def test_what_names_no_operator_is_malformed(self, till: PairedTill, body: Any) -> None:
        assert ask(till, body).json()["code"] == "malformed"

    def test_an_operator_the_portal_does_not_know_is_not_found_and_costs_nothing(
        self, till: PairedTill
    ) -> None:
        assert [ask(till, {"op": "77"}).status_code for _ in range(4)] == [404] * 4
        assert ask(till).status_code == 201

    def test_the_fourth_in_an_hour_is_asked_to_come_back(self, till: PairedTill) -> None:
        assert [ask(till).status_code for _ in range(3)] == [201] * 3
        answer = ask(till)
        assert (answer.status_code, answer.json()["code"]) == (429, "slow_down")
        assert 0 < int(answer["Retry-After"]) <= 3600
        assert ask(pair_on_paper()).status_code == 201

    @pytest.mark.parametrize("state", [Terminal.State.QUARANTINED, Terminal.State.REVOKED])
    def test_a_stopped_terminal_starts_nothing(self, till: PairedTill, state: str) -> None:
        Terminal.objects.update(state=state)
        assert ask(till).status_code == 403
        assert not RecoveryRequest.objects.exists()

    def test_a_terminal_opened_by_force_starts_nothing(self, till: PairedTill) -> None:
        Terminal.objects.update(tampered_at=timezone.now())
        assert ask(till).json()["code"] == "quarantined"

    def test_without_a_bearer_there_is_nothing_to_ask(self) -> None:
        assert Client().post(DOOR, "{}", "application/json").status_code == 401
        assert Client().get(f"{DOOR}/rec_0123456789abcdef").status_code == 401

    def test_another_terminal_does_not_find_it(self, till: PairedTill) -> None:
        shown = opened(till)
        other = state_at(pair_on_paper(), shown.rid)
        unknown = state_at(till, "rec_0123456789abcdef")
        assert [other.json()["code"], unknown.json()["code"]] == ["not_found"] * 2

    def test_an_id_of_another_shape_is_refused_and_never_breaks(self, till: PairedTill) -> None:
        assert state_at(till, "rec_%00").status_code in (400, 404)
        assert state_at(till, "x").status_code in (400, 404)

    def test_a_new_one_ends_the_one_before(self, till: PairedTill) -> None:
        first, second = ask(till).json()["rid"], ask(till).json()["rid"]
        states = [state_at(till, rid).json()["state"] for rid in (first, second)]
        assert states == ["expired", "pending"]

    def test_after_ten_minutes_it_is_expired_before_any_sweep(self, till: PairedTill) -> None:
        shown = opened(till)
        with time_machine.travel(timezone.now() + timedelta(seconds=RECOVERY_LIFETIME + 1)):
            assert state_at(till, shown.rid).json() == {"state": "expired"}
            assert requests.expire_due(timezone.now()) == 1
            assert state_at(till, shown.rid).json() == {"state": "expired"}


class TestTheDesk:
    @pytest.mark.parametrize("name", ["recoveryrequest", "offlineunlock"])
    def test_support_reads_what_was_asked_at_terminals_and_changes_nothing(
        self, till: PairedTill, name: str
    ) -> None:
        shown, desk = opened(till), signed_in(make_staff())
        row = OfflineUnlock.objects.create(terminal=till.terminal, counter=1, question_digest="x" * 43)
        asked = {"recoveryrequest": RecoveryRequest.objects.get(pk=shown.rid), "offlineunlock": row}[name]
        listed = desk.get(reverse(f"admin:terminals_{name}_changelist"))
        one = desk.get(change_address(asked))
        assert [listed.status_code, one.status_code] == [200, 200]
        assert "x" * 43 not in one.content.decode() and 'name="_save"' not in one.content.decode()
        assert desk.get(reverse(f"admin:terminals_{name}_add")).status_code == 403


class TestTheCode:
    @pytest.mark.parametrize(
        "typed", ["BCDFGHJK", "bcdf-ghjk", " BCDF GHJK ", "ＢＣＤＦ－ＧＨＪＫ", "bcdf–ghjk"]
    )
    def test_it_is_read_however_it_is_typed(self, typed: str) -> None:
        assert requests.read_user_code(typed) == "BCDFGHJK"

    @pytest.mark.parametrize("typed", ["", "BCDFGHJ", "BCDFGHJKL", "BCDFGHJA", "BCDFGHJ1", "B" * 99])
    def test_what_cannot_be_one_is_none(self, typed: str) -> None:
        assert requests.read_user_code(typed) is None

    def test_it_binds_once(self, till: PairedTill) -> None:
        shown, _ = bound(till)
        digest = requests.digest_of(shown.user_code.replace("-", ""))
        assert requests.bind(digest, till.terminal.store.merchant) is None

    def test_it_binds_for_its_own_merchant_only(self, till: PairedTill) -> None:
        digest = requests.digest_of(opened(till).user_code.replace("-", ""))
        assert requests.bind(digest, make_other_merchant()) is None

    def test_it_does_not_bind_when_the_terminal_was_stopped_meanwhile(self, till: PairedTill) -> None:
        digest = requests.digest_of(opened(till).user_code.replace("-", ""))
        Terminal.objects.update(state=Terminal.State.QUARANTINED)
        assert requests.bind(digest, till.terminal.store.merchant) is None

    def test_codes_of_two_terminals_are_apart(self) -> None:
        tills = [pair_on_paper(make_terminal(name=name)) for name in ("一楼", "二楼")]
        assert len({opened(till).user_code for till in tills}) == 2
        assert Operator.objects.filter(number="03").count() == 2


class TestTheMatchNumber:
    def test_the_right_number_is_proof_of_standing_there(self, till: PairedTill) -> None:
        shown, _ = bound(till)
        assert requests.match(shown.rid, shown.match).ok
        row = RecoveryRequest.objects.get()
        assert (row.state, row.proved_at is not None) == (State.PROVED, True)
        assert state_at(till, shown.rid).json() == {"state": "pending"}

    def test_before_a_browser_is_bound_no_number_counts(self, till: PairedTill) -> None:
        shown = opened(till)
        assert not requests.match(shown.rid, shown.match).ok
        assert RecoveryRequest.objects.get().tries == 0

    def test_the_third_wrong_number_burns_it_and_the_screen_says_so(self, till: PairedTill) -> None:
        shown, wrong = bound(till)
        assert [requests.match(shown.rid, wrong).tries_left for _ in range(3)] == [2, 1, 0]
        assert state_at(till, shown.rid).json() == {"state": "denied"}
        assert not requests.match(shown.rid, shown.match).ok

    def test_the_right_number_comes_too_late_after_ten_minutes(self, till: PairedTill) -> None:
        shown, _ = bound(till)
        with time_machine.travel(timezone.now() + timedelta(seconds=RECOVERY_LIFETIME + 1)):
            assert not requests.match(shown.rid, shown.match).ok
