"""The vocabulary: strict JSON, states, headers, and the readers of each message."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminals import claims, headers, protocol
from terminals.headers import parse_telemetry
from terminals.protocol import (
    ALLOWED,
    OPEN,
    PROBLEMS,
    ProtocolError,
    strict_json,
)
from tests.vectors import world

MEMBER = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)

ENROLL = {
    "aud": world.AUDIENCE, "iat": 1, "exp": 300, "jti": "tok_" + "A" * 16, "code": "BCD-FGH-JKL",
    "enc": {"kty": "OKP"}, "cap": {"keypad": "digits", "cmds": ["lock"]},
    "hw": {"vendor": "Rekey", "model": "RK-100", "serial": "RK20260001"}, "fw": "1.0",
}  # fmt: skip
SEALED = {"cid": world.CID, "aud": world.TID, "op": "03", "password": "482917", "change_at_next_login": False}
OPERATOR = {"op": "03", "role": "ordinary", "locked": False, "tries_left": 5, "age_days": 3, "weak": "common"}
INVENTORY = {"inventory": {"operators": [OPERATOR], "fw": "1.0", "battery": 80, "unsettled_batch": False}}
NONCE = {"nonce": "A" * 22}
CHALLENGE = {"nonce": "A" * 22, "offline_key": "A" * 43}

READERS: list[tuple[Callable[[dict[str, Any]], object], dict[str, Any]]] = [
    (claims.parse_enroll, ENROLL),
    (claims.parse_confirm, NONCE),
    (claims.parse_challenge, CHALLENGE),
    (claims.parse_auth, world.bearer()),
    (claims.parse_command, world.command()),
    (claims.parse_sealed, SEALED),
    (claims.parse_receipt, world.receipt()),
    (claims.parse_receipt_batch, {"receipts": ["a.b.c"]}),
    (claims.parse_keyset, world.keyset()),
    (claims.parse_inventory, INVENTORY),
]
NAMES = [reader.__name__ for reader, _ in READERS]


class TestStates:
    def test_every_open_state_leads_to_a_final_one(self) -> None:
        for state in OPEN:
            reached, frontier = {state}, {state}
            while frontier:
                frontier = {after for before in frontier for after in ALLOWED[before]} - reached
                reached |= frontier
            assert {"applied", "expired", "superseded"} <= reached

    def test_only_a_late_receipt_leads_out_of_a_soft_final_state(self) -> None:
        for state in protocol.SOFT_FINAL:
            assert ALLOWED[state] == {"applied"}
        for state in protocol.HARD_FINAL:
            assert ALLOWED[state] == frozenset()

    def test_the_table_names_only_its_own_states(self) -> None:
        assert set(ALLOWED) == OPEN | protocol.SOFT_FINAL | protocol.HARD_FINAL
        assert all(targets <= set(ALLOWED) for targets in ALLOWED.values())

    def test_nothing_unapproved_reaches_a_terminal(self) -> None:
        assert not ALLOWED["pending_approval"] & {"fetched", "applied", "rejected"}

    def test_every_kind_has_a_lifetime_a_token_may_have(self) -> None:
        assert set(protocol.LIFETIME) == protocol.KINDS
        assert max(protocol.LIFETIME.values()) <= protocol.TOKEN_LIFETIME_MAX


class TestIds:
    @pytest.mark.parametrize("prefix", sorted(protocol.ID_PREFIXES))
    def test_an_id_has_its_prefix_and_sixteen_characters(self, prefix: str) -> None:
        made = {protocol.new_id(prefix) for _ in range(200)}
        assert len(made) == 200
        assert all(protocol.is_id(value, prefix) for value in made)

    def test_other_prefixes_and_other_things_are_no_ids(self) -> None:
        with pytest.raises(ValueError, match="prefix"):
            protocol.new_id("usr")
        for value in (
            "cmd_" + "A" * 15,
            "cmd_" + "A" * 17,
            "tok_" + "A" * 16,
            "cmd_" + "A" * 16 + "\n",
            None,
            5,
        ):
            assert not protocol.is_id(value, "cmd")


class TestStrictJson:
    @pytest.mark.parametrize(
        "raw",
        [
            b"", b" ", b"null", b"[1]", b'"a"', b"1", b'{"a":1}x', b'{"a":1}{}', b'{"a":1,"a":2}',
            b'{"a":{"b":1,"b":2}}', b'{"a":1.0}', b'{"a":1e3}', b'{"a":1e400}', b'{"a":NaN}',
            b'{"a":-Infinity}', b'{"a":-0}', b'{"a":9007199254740992}', b'{"a":-9007199254740992}',
            b'{"a":' + b"9" * 5000 + b"}", b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), b'{"a":"\xff"}',
            b'{"a":"\x00"}', b'{"a":"\\ud800"}', b'{"\\udfff":1}', b"{'a':1}", b'{"a":1,}', b'{"a":01}',
            b'{"a":{"b":{"c":{"d":{}}}}}', b'{"a":[[[[]]]]}', b'{"a":/**/1}', b"\x00{}", b'{"a":tru}',
        ],
    )  # fmt: skip
    def test_what_two_parsers_could_read_differently_is_malformed(self, raw: bytes) -> None:
        with pytest.raises(ProtocolError) as refusal:
            strict_json(raw)
        assert refusal.value.code == "malformed"

    def test_plain_objects_are_read(self) -> None:
        raw = (
            b' {"a": 9007199254740991, "b": [[[null]]], "c": "[[[[[{{{{\\"", "d": "\\u738b\\ud83d\\ude00"}\n'
        )
        assert strict_json(raw) == {"a": 2**53 - 1, "b": [[[None]]], "c": '[[[[[{{{{"', "d": "王😀"}

    def test_the_depth_can_be_set(self) -> None:
        assert strict_json(b'{"a":{}}', max_depth=2)
        with pytest.raises(ProtocolError):
            strict_json(b'{"a":{"b":{}}}', max_depth=2)

    @pytest.mark.parametrize(
        "raw",
        [
            b"[" * 10**5, b'{"a":' * 10**5, b'{"a":"' + b'\\"' * 16_000, b'\\"' * 16_000, b'"' * 32_001,
            b'{"' + b"[" * 32_000, b"{" + b'"\\' * 10**5, b'{"a":' + b"9" * 32_000,
        ],
    )  # fmt: skip
    def test_hostile_input_is_refused_quickly(self, raw: bytes) -> None:
        started = time.process_time()
        with pytest.raises(ProtocolError):
            strict_json(raw)
        assert time.process_time() - started < 0.05

    @settings(max_examples=300, deadline=None)
    @given(
        st.binary(max_size=80)
        | st.text(max_size=80).map(str.encode)
        | MEMBER.map(lambda v: json.dumps(v).encode())
    )
    def test_any_bytes_are_an_object_or_malformed(self, raw: bytes) -> None:
        try:
            assert isinstance(strict_json(raw), dict)
        except ProtocolError as error:
            assert error.code == "malformed"  # noqa: PT017


class TestReaders:
    @pytest.mark.parametrize(("reader", "good"), READERS, ids=NAMES)
    def test_a_good_message_is_read_and_unknown_members_ignored(
        self, reader: Callable[[dict[str, Any]], object], good: dict[str, Any]
    ) -> None:
        assert reader(good) == reader({**good, "later": [1]})

    @pytest.mark.parametrize(("reader", "good"), READERS, ids=NAMES)
    def test_no_member_may_have_another_type(
        self, reader: Callable[[dict[str, Any]], object], good: dict[str, Any]
    ) -> None:
        for name, value in good.items():
            for wrong in (None, True, 1.5, -1, "", [], [None], {"a": 1}, 2**53, "x" * 5000):
                if type(wrong) is type(value) and type(value) not in (str, int):
                    continue
                with pytest.raises(ProtocolError, match="malformed"):
                    reader({**good, name: wrong})

    @settings(max_examples=300, deadline=None)
    @given(st.sampled_from(READERS), st.dictionaries(st.text(max_size=6), MEMBER, max_size=4), st.data())
    def test_any_message_is_read_or_malformed(
        self,
        entry: tuple[Callable[[dict[str, Any]], object], dict[str, Any]],
        noise: dict[str, Any],
        data: st.DataObject,
    ) -> None:
        reader, good = entry
        damaged = {**good, data.draw(st.sampled_from(sorted(good))): data.draw(MEMBER)}
        for message in (noise, damaged):
            try:
                reader(message)
            except ProtocolError as error:
                assert error.code == "malformed"  # noqa: PT017

    @pytest.mark.parametrize(
        "changes",
        [
            {"seq": 0}, {"seq": True}, {"seq": "43"}, {"exp": 1}, {"exp": world.T0 + 8 * 86_400}, {"op": "3"},
            {"op": "０３"}, {"aud": [world.TID]}, {"jti": "tok_short"}, {"cid": world.CID + "\n"},
            {"nbf": "1"},
        ],
    )  # fmt: skip
    def test_commands_out_of_form_are_malformed(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ProtocolError, match="malformed"):
            claims.parse_command(world.command(**changes))

    @pytest.mark.parametrize(
        "changes",
        [
            {"st": "rejected"}, {"st": "applied", "rc": "busy"}, {"st": "deferred", "rc": "busy"},
            {"st": "deferred", "rc": "expired", "retry": 30}, {"st": "rejected", "rc": "busy"},
            {"st": "rejected", "rc": "nonsense"}, {"st": "done"}, {"tok": "A" * 42}, {"tok": "A" * 42 + "B"},
            {"sub": None}, {"st": "rejected", "rc": "expired", "sub": None},
        ],
    )  # fmt: skip
    def test_receipts_that_contradict_themselves_are_malformed(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ProtocolError, match="malformed"):
            claims.parse_receipt(world.receipt(**changes))

    def test_a_token_that_could_not_be_read_may_be_named_by_its_hash_alone(self) -> None:
        claims_of = world.receipt(st="rejected", rc="bad_signature", sub=None, cid=None, seq=None)
        assert claims.parse_receipt(claims_of).sub is None

    def test_an_operator_is_listed_once(self) -> None:
        with pytest.raises(ProtocolError, match="malformed"):
            claims.parse_inventory({"inventory": {"operators": [OPERATOR, OPERATOR], "fw": "1"}})


class TestTelemetry:
    def test_the_example_of_the_protocol_is_read_and_written(self) -> None:
        header = 'pv=1, fw="4.2.1", bat=83, chg=?1, hwm=41, ks=3, batch=?0, idle=?1'
        telemetry = parse_telemetry(header)
        assert telemetry is not None
        assert telemetry.hwm == 41 and telemetry.chg is True and telemetry.batch is False
        assert telemetry.header() == header

    @pytest.mark.parametrize(
        "header", [None, "", "pv=1,", "pv=1 bat=2", "PV=1", "a=1;b", "x" * 257, 'fw="é"', "a=1.5"]
    )
    def test_unreadable_telemetry_is_ignored(self, header: str | None) -> None:
        assert parse_telemetry(header) is None

    @pytest.mark.parametrize(
        "header", ["bat=101", "bat=?1", 'hwm="41"', "hwm=-1", "chg=1", "other=5", "ks=token"]
    )
    def test_facts_out_of_range_or_type_are_dropped(self, header: str) -> None:
        assert parse_telemetry(header) == headers.Telemetry()

    @given(st.text(max_size=300))
    def test_any_header_is_read_or_ignored(self, header: str) -> None:
        telemetry = parse_telemetry(header)
        assert telemetry is None or isinstance(telemetry, headers.Telemetry)

    @given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40))
    def test_text_survives_the_header(self, text: str) -> None:
        assert headers.parse_dictionary(headers.format_dictionary({"fw": text})) == {"fw": text}

    def test_the_pace_is_written_as_a_dictionary(self) -> None:
        assert headers.poll_header(60, 15, 25) == "interval=60, jitter=15, wait=25"
        assert headers.poll_header(3, 0, 25, 9).endswith("fast_until=9")


class TestProblems:
    def test_every_problem_has_what_the_edge_needs(self) -> None:
        for code, (status, title, retryable) in PROBLEMS.items():
            body = ProtocolError(code, "secret detail", server_time=5).problem("t1")
            assert body["status"] == status and body["title"] == title and body["retryable"] is retryable
            assert body["server_time"] == 5 and "secret" not in json.dumps(body)
