"""What providers report about texts and calls, and whether it is really them who say so."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from twilio.request_validator import HMAC_SHA1, RequestValidator, get_signature_algorithm

MESSAGE_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
CALL_SID = re.compile(r"CA[0-9a-f]{32}")
FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,39}")
ERROR_CODE = re.compile(r"[0-9]{1,6}")
BIZ_ID = re.compile(r"[0-9]{1,40}(\^[0-9]{1,20})?")
CARRIER_CODE = re.compile(r"[A-Za-z0-9:._-]{1,32}")
CALLBACK_KEY = re.compile(r"[A-Za-z0-9_-]{16}")
# What became of a call, as the state of a message and the reason.
CALLS = {
    "completed": ("delivered", ""),
    "busy": ("undelivered", "busy"),
    "no-answer": ("undelivered", "no-answer"),
    "canceled": ("undelivered", "no-answer"),
    "failed": ("undelivered", "30008"),
}


@dataclass(frozen=True, slots=True)
class Report:
    """What is said to have become of one message, in the words of its states."""

    provider_id: str
    status: str
    error: str


def read_report(
    url: str, fields: Mapping[str, list[str]], signature: str, algorithm_header: str
) -> Report | None:
    """The report in a callback that Twilio signed for exactly this configured URL; None for anything else.

    The signature joins names and values without separators and covers no time, so names must look like
    Twilio's, none may be repeated, the account must be ours, and the caller must let states only move on.
    It is HMAC-SHA1 with our auth token; a header that names another algorithm is refused.
    """
    plain = {name: values[0] for name, values in fields.items() if len(values) == 1}
    if len(plain) != len(fields) or not all(FIELD_NAME.fullmatch(name) for name in plain):
        return None
    if get_signature_algorithm(algorithm_header) != HMAC_SHA1 or not _signed(url, plain, signature):
        return None
    if plain.get("AccountSid") != settings.TWILIO_ACCOUNT_SID:
        return None
    return _of_a_call(plain) if "CallSid" in plain else _of_a_text(plain)


def _of_a_text(plain: dict[str, str]) -> Report | None:
    provider_id, error = plain.get("MessageSid", ""), plain.get("ErrorCode", "")
    if not MESSAGE_SID.fullmatch(provider_id):
        return None
    return Report(provider_id, plain.get("MessageStatus", ""), error if ERROR_CODE.fullmatch(error) else "")


def _of_a_call(plain: dict[str, str]) -> Report | None:
    if not CALL_SID.fullmatch(plain["CallSid"]):
        return None
    status = plain.get("CallStatus", "")
    return Report(plain["CallSid"], *CALLS.get(status, (status, "")))


def _signed(url: str, fields: dict[str, str], signature: str) -> bool:
    if not signature or not settings.TWILIO_AUTH_TOKEN:
        return False
    return bool(RequestValidator(settings.TWILIO_AUTH_TOKEN).validate(url, fields, signature))


@dataclass(frozen=True, slots=True)
class Heaped:
    """One report of a heap, about the message with this key."""

    callback_key: str
    report: Report


def is_aliyuns(key: str) -> bool:
    """Whether an address is the one that was entered in the provider's console.

    Its reports carry no signature, so whoever knows the key may speak; that is why reports only inform.
    """
    kept: str = settings.ALIYUN_REPORT_KEY
    return bool(kept) and hmac.compare_digest(key.encode(), kept.encode())


def read_heap(body: bytes) -> list[Heaped] | None:
    """The reports in what Aliyun pushes, without those that are odd; None for what is no such heap."""
    try:
        heap = json.loads(body)
    except ValueError:
        return None
    if not isinstance(heap, list):
        return None
    return [read for one in heap if isinstance(one, dict) and (read := _of_a_heap(one)) is not None]


def _of_a_heap(one: dict[str, object]) -> Heaped | None:
    key, number, code = (str(one.get(name, "")) for name in ("out_id", "biz_id", "err_code"))
    if not CALLBACK_KEY.fullmatch(key) or not BIZ_ID.fullmatch(number):
        return None
    if one.get("success") is True:
        return Heaped(key, Report(number, "delivered", ""))
    if one.get("success") is False:
        return Heaped(key, Report(number, "undelivered", code if CARRIER_CODE.fullmatch(code) else "30008"))
    return None
