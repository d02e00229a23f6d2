"""The shapes of the terminal API's answers, for the OpenAPI document and for typing."""

from __future__ import annotations

from typing import Any

from ninja import Schema
from pydantic import Field


class Problem(Schema):
    """RFC 9457 problem details, with what a terminal needs to act on."""

    type: str = Field(examples=["/problems/pairing_failed"])
    title: str
    status: int
    code: str
    retryable: bool
    trace: str
    retry_after: int | None = None
    server_time: int | None = None


class EnrollAnswer(Schema):
    """201 of `POST enroll`."""

    tid: str
    keyset: str
    challenge: str


class StateAnswer(Schema):
    """200 of `POST enroll/confirm`."""

    state: str


class RollAnswer(Schema):
    """200 of `POST keys/roll`: `rolling`, or `active` once the new key is in force; the old one's end."""

    state: str = Field(pattern="^(rolling|active)$")
    until: int


class ReceiptResult(Schema):
    """What became of one receipt."""

    jti: str
    r: str


class ReceiptsAnswer(Schema):
    """200 of `POST receipts`, one result per receipt, in order."""

    results: list[ReceiptResult]


class RecoveryAnswer(Schema):
    """201 of `POST recoveries`: what the terminal puts on its screen, and how long and often it asks."""

    rid: str = Field(pattern="^rec_[A-Za-z0-9_-]{16}$")
    user_code: str = Field(examples=["BCDF-GHJK"])
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int
    match: str = Field(pattern="^[0-9]{2}$")


class RecoveryState(Schema):
    """200 of `GET recoveries/{rid}`."""

    state: str = Field(pattern="^(pending|denied|expired|done)$")


def body(content_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI request body of an operation that reads its bytes itself."""
    return {"requestBody": {"required": True, "content": {content_type: {"schema": schema}}}}


COMPACT = {"type": "string", "pattern": r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"}
NONCE = {"type": "object", "required": ["nonce"], "properties": {"nonce": {"type": "string"}}}
RECOVERY = {
    "type": "object",
    "required": ["op"],
    "properties": {"op": {"type": "string", "pattern": "^[0-9]{2}$"}},
}
RECEIPTS = {
    "type": "object",
    "required": ["receipts"],
    "properties": {"receipts": {"type": "array", "minItems": 1, "maxItems": 8, "items": COMPACT}},
}
INVENTORY = {
    "type": "object",
    "required": ["inventory"],
    "properties": {
        "inventory": {
            "type": "object",
            "required": ["operators", "fw"],
            "properties": {
                "operators": {
                    "type": "array",
                    "maxItems": 64,
                    "items": {
                        "type": "object",
                        "required": ["op", "role", "locked", "tries_left"],
                        "properties": {
                            "op": {"type": "string", "pattern": "^[0-9]{2}$"},
                            "role": {"enum": ["ordinary", "supervisor", "maintenance"]},
                            "locked": {"type": "boolean"},
                            "age_days": {"type": "integer", "minimum": 0, "maximum": 36500},
                            "tries_left": {"type": "integer", "minimum": 0, "maximum": 99},
                            "weak": {"enum": ["default", "common", "shared"]},
                        },
                    },
                },
                "fw": {"type": "string", "minLength": 1, "maxLength": 40},
                "app": {"type": "string", "minLength": 1, "maxLength": 40},
                "network": {"enum": ["ethernet", "wifi", "cellular"]},
                "battery": {"type": "integer", "minimum": 0, "maximum": 100},
                "charging": {"type": "boolean"},
                "unsettled_batch": {"type": "boolean"},
                "tamper": {"type": "boolean"},
            },
        }
    },
}
