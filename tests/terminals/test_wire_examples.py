"""The examples in docs/terminal-protocol.md are what our own code makes and accepts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from docs import wire_examples as wire
from terminals import claims, jose, protocol
from terminals.pairing import parse_qr

EXAMPLES = wire.examples()
PARSED: list[tuple[str, Callable[[Any], object], str]] = [
    ("enroll", claims.parse_enroll, protocol.TYP_ENROLL),
    ("bearer", claims.parse_auth, protocol.TYP_AUTH),
    ("command", claims.parse_command, protocol.TYP_COMMAND),
]
KEYS = {jose.kid16(key): jose.public_jwk(key) for key in (wire.ISSUER, wire.SIGN, wire.ROOT)}


def test_the_document_shows_what_the_code_makes() -> None:
    text = wire.DOCUMENT.read_text("utf-8")
    assert text == wire.rendered(text), "run `python docs/wire_examples.py`"


def test_every_example_is_shown() -> None:
    text = wire.DOCUMENT.read_text("utf-8")
    assert [name for name in EXAMPLES if f"<!-- wire: {name} -->" not in text] == []


@pytest.mark.parametrize(("name", "parse", "typ"), PARSED, ids=[row[0] for row in PARSED])
def test_the_signed_examples_verify(name: str, parse: Callable[[Any], object], typ: str) -> None:
    if name == "enroll":
        read, key = jose.verify_embedded(EXAMPLES[name], typ)
        assert key == jose.public_jwk(wire.SIGN)
    else:
        read = jose.verify(EXAMPLES[name], typ, KEYS)
    assert parse(read)


def test_the_receipt_and_the_keyset_verify() -> None:
    (receipt,) = claims.parse_receipt_batch(json.loads(EXAMPLES["receipts"]))
    said = claims.parse_receipt(jose.verify(receipt, protocol.TYP_RECEIPT, KEYS))
    assert said.tok == jose.digest(EXAMPLES["command"])
    token = json.loads(EXAMPLES["enroll-answer"])["keyset"]
    _, root = jose.verify_self_vouched(token, protocol.TYP_KEYSET, "roots")
    qr = parse_qr(EXAMPLES["qr"])
    assert qr is not None and qr.root == jose.thumbprint(root)


def test_the_sealed_examples_open() -> None:
    wire.check()
    claims.parse_sealed(json.loads(EXAMPLES["sealed"]))
    claims.parse_challenge(json.loads(EXAMPLES["challenge"]))


def test_every_error_code_has_its_line() -> None:
    text = wire.DOCUMENT.read_text("utf-8")
    for code, (status, _title, _retryable) in protocol.PROBLEMS.items():
        if code not in {"unsupported_version", "gone", "upgrade_required"}:
            assert f"`{code}`" in text and str(status) in text


def test_every_reason_code_has_its_line() -> None:
    text = wire.DOCUMENT.read_text("utf-8")
    later = {"user_declined", "unsettled_batch", "low_battery"}
    assert [reason for reason in protocol.RC - later if f"`{reason}`" not in text] == []
