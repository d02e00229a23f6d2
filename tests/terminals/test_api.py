"""The terminal API beside the poll: every refusal is problem+json, nothing odd is read in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from terminals import jose
from terminals.claims import parse_keyset
from terminals.models import Terminal, TerminalStatus
from terminals.protocol import BODY_MAX, TYP_KEYSET
from tests.cast import PairedTill
from tests.terminals.work import delivered

pytestmark = pytest.mark.django_db
API = "/terminal/v1/"
INVENTORY: dict[str, Any] = {
    "operators": [
        {"op": "03", "role": "ordinary", "locked": True, "age_days": 40, "tries_left": 0, "weak": "default"},
        {"op": "00", "role": "supervisor", "locked": False, "tries_left": 5},
    ],
    "fw": "4.3.0",
    "battery": 71,
    "unsettled_batch": True,
}


def send(till: PairedTill | None, path: str, body: Any, method: str = "POST", **headers: str) -> Any:
    """One request; text and bytes go out as they are, everything else as JSON."""
    raw = body if isinstance(body, str | bytes) else json.dumps(body)
    if till is not None:
        headers |= till.authorization()
    return Client(raise_request_exception=False).generic(
        method, API + path, raw, content_type="application/json", headers=headers
    )


def is_problem(answer: Any, status: int, code: str) -> None:
    """Check the shape of a refusal."""
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    body = answer.json()
    assert body["code"] == code and body["status"] == status and body["trace"] == answer["Rekey-Trace"]
    assert answer["Cache-Control"] == "no-store"


class TestReceipts:
    def test_each_item_gets_its_result_in_order(self, till: PairedTill) -> None:
        receipt = till.receipt(delivered(till).token)
        answer = send(till, "receipts", {"receipts": [receipt, "a.b.c", receipt]})
        assert answer.status_code == 200 and answer["Cache-Control"] == "no-store" and answer["Rekey-Trace"]
        assert [result["r"] for result in answer.json()["results"]] == ["ok", "invalid", "duplicate"]

    @pytest.mark.parametrize(
        "body",
        [
            "", "[]", "{", "null", '{"receipts": "x"}', '{"receipts": []}', b"\xff\xfe", "[" * 500,
            "\ufeff{}", '{"receipts": ["' + '","' * 8 + '"]}', '{"receipts": [NaN]}',
            '{"receipts": [1], "receipts": [2]}',
        ],
    )  # fmt: skip
    def test_what_is_not_strict_json_of_the_right_shape_is_malformed(
        self, till: PairedTill, body: Any
    ) -> None:
        is_problem(send(till, "receipts", body), 400, "malformed")

    def test_a_body_too_large_is_not_read(self, till: PairedTill) -> None:
        is_problem(send(till, "receipts", "x" * (BODY_MAX + 1)), 413, "too_large")

    def test_a_compressed_body_is_refused(self, till: PairedTill) -> None:
        is_problem(send(till, "receipts", b"x", **{"Content-Encoding": "gzip"}), 400, "malformed")

    def test_nobody_reports_without_a_bearer(self, till: PairedTill) -> None:
        is_problem(send(None, "receipts", {"receipts": ["x"]}), 401, "invalid_auth")

    def test_a_revoked_terminal_is_told_so(self, till: PairedTill) -> None:
        Terminal.objects.update(state=Terminal.State.REVOKED)
        is_problem(send(till, "receipts", {"receipts": ["x"]}), 403, "revoked")


class TestInventory:
    def test_the_newest_one_is_kept(self, till: PairedTill) -> None:
        answer = send(till, "inventory", {"inventory": INVENTORY}, "PUT")
        assert (answer.status_code, answer.content) == (204, b"")
        status = TerminalStatus.objects.get(terminal=till.terminal)
        assert (status.battery, status.unsettled_batch) == (71, True)
        assert status.inventory["operators"][0]["weak"] == "default"
        assert Terminal.objects.get().firmware == "4.3.0"

    @pytest.mark.parametrize(
        "change",
        [
            {"operators": [{"op": "3"}]},
            {"operators": [INVENTORY["operators"][0]] * 2},
            {"battery": 101},
            {"fw": ""},
        ],
    )
    def test_nonsense_is_refused_whole(self, till: PairedTill, change: dict[str, Any]) -> None:
        is_problem(send(till, "inventory", {"inventory": {**INVENTORY, **change}}, "PUT"), 400, "malformed")
        assert not TerminalStatus.objects.exists()


class TestKeysets:
    def test_a_keyset_is_signed_by_its_root_and_may_be_cached_for_ever(self, till: PairedTill) -> None:
        answer = send(None, "keysets/1", b"", "GET")
        claims, _root = jose.verify_self_vouched(answer.content.decode(), TYP_KEYSET, "roots")
        assert parse_keyset(claims).ver == 1 and answer["Content-Type"] == "application/jose"
        assert "immutable" in answer["Cache-Control"]

    def test_there_is_no_other(self, till: PairedTill) -> None:
        is_problem(send(None, "keysets/2", b"", "GET"), 404, "not_found")

    def test_a_factory_reset_has_a_key_that_does_nothing_else(self, till: PairedTill) -> None:
        token = send(None, "keysets/1", b"", "GET").content.decode()
        claims, _root = jose.verify_self_vouched(token, TYP_KEYSET, "roots")
        resets = [key.cmds for key in parse_keyset(claims).keys if "factory_reset" in key.cmds]
        assert resets == [("factory_reset",)]


class TestEdges:
    @pytest.mark.parametrize("path", ["nowhere", "", "keysets/x", "keysets/-1", "enroll/", "receipts/1"])
    def test_what_is_not_there_is_a_problem_too(self, db: None, path: str) -> None:
        is_problem(send(None, path, b"", "GET"), 404, "not_found")

    @pytest.mark.parametrize(
        ("path", "method"), [("enroll", "GET"), ("receipts", "DELETE"), ("inventory", "POST")]
    )
    def test_a_method_that_is_not_served_is_a_problem_too(self, db: None, path: str, method: str) -> None:
        answer = send(None, path, b"", method)
        is_problem(answer, 405, "method_not_allowed")
        assert answer["Allow"]

    def test_a_failure_of_ours_is_retryable_and_says_nothing(
        self, till: PairedTill, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("the password is 719402")

        monkeypatch.setattr("terminals.receipts.accept", broken)
        answer = send(till, "receipts", {"receipts": ["x"]})
        is_problem(answer, 500, "internal")
        assert answer.json()["retryable"] is True and "719402" not in answer.content.decode()

    def test_the_openapi_document_describes_every_door(self, db: None) -> None:
        document = send(None, "openapi.json", b"", "GET").json()
        assert document["openapi"].startswith("3.1")
        assert {f"{API}{path}" for path in ("enroll", "enroll/confirm", "receipts", "inventory")} <= set(
            document["paths"]
        )
        assert "application/jose" in document["paths"][f"{API}enroll"]["post"]["requestBody"]["content"]
