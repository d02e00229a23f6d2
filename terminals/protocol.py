"""The vocabulary of the terminal protocol: ids, limits, kinds, states, reasons, errors and strict JSON."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final, NoReturn

# --- limits -----------------------------------------------------------------------------------------------

KIB: Final = 1024
TOKEN_MAX: Final = 4 * KIB
BEARER_MAX: Final = 1 * KIB
RECEIPT_MAX: Final = 2 * KIB
ENROLL_MAX: Final = 4 * KIB
KEYSET_MAX: Final = 8 * KIB
KEYROLL_MAX: Final = 4 * KIB
KEYSET_STEPS_MAX: Final = 64
BODY_MAX: Final = 32 * KIB
TELEMETRY_MAX: Final = 256
TOKENS_PER_POLL: Final = 4
RECEIPTS_PER_POST: Final = 8
OPEN_COMMANDS_MAX: Final = 32
OPERATORS_MAX: Final = 64
DONE_RING: Final = 32
HISTORY: Final = 4
MESSAGE_MAX: Final = 140
MATCH_TRIES: Final = 3
UNLOCK_TRIES: Final = 3
UNLOCK_CHALLENGES_PER_DAY: Final = 5

INT_MAX: Final = 2**53 - 1
SEQ_STEP_MAX: Final = 2**20
JSON_DEPTH_MAX: Final = 4

# --- times, in seconds ------------------------------------------------------------------------------------

HOUR: Final = 3600
SKEW: Final = 120
ENROLL_LIFETIME_MAX: Final = 300
BEARER_BACKDATE: Final = 60
BEARER_LIFETIME: Final = 540
BEARER_LIFETIME_MAX: Final = 600
BEARER_RENEW_BEFORE: Final = 30
BEARER_GRACE: Final = 30
TOKEN_LIFETIME_MAX: Final = 7 * 24 * HOUR
CHOOSE_SCREEN: Final = 15 * 60
PAIRING_LIFETIME: Final = 15 * 60
# Codes on a printed sheet: a working day (docs/decisions/0012).
SHEET_LIFETIME: Final = 12 * HOUR
WAIT_MAX: Final = 55
KEYROLL_GRACE: Final = 24 * HOUR
RECOVERY_LIFETIME: Final = 600
UNLOCK_LIFETIME: Final = 600
RECOVERY_INTERVAL: Final = 3
GAP_MIN: Final = 5
GAP_MIN_FAST: Final = 3
BACKUP_AGE_MAX: Final = 24 * HOUR
IDLE_MAX: Final = 24 * HOUR

# --- names that travel ------------------------------------------------------------------------------------

PATH: Final = "/terminal/v1"

TYP_ENROLL: Final = "rekey-enroll+jwt"
TYP_AUTH: Final = "rekey-auth+jwt"
TYP_COMMAND: Final = "rekey-cmd+jwt"
TYP_RECEIPT: Final = "rekey-receipt+jwt"
TYP_KEYSET: Final = "rekey-keyset+jwt"
TYP_KEYROLL: Final = "rekey-keyroll+jwt"
TYP_POSSESSION: Final = "rekey-pop+jwt"

SET_CREDENTIAL: Final = "set_credential"
UNLOCK: Final = "unlock"
LOCK: Final = "lock"
MESSAGE: Final = "message"
REBOOT: Final = "reboot"
FACTORY_RESET: Final = "factory_reset"
VOID: Final = "void"
KINDS: Final = frozenset({SET_CREDENTIAL, UNLOCK, LOCK, MESSAGE, REBOOT, FACTORY_RESET, VOID})

LIFETIME: Final[Mapping[str, int]] = {
    SET_CREDENTIAL: 72 * HOUR,
    UNLOCK: 72 * HOUR,
    LOCK: 72 * HOUR,
    MESSAGE: 72 * HOUR,
    VOID: 72 * HOUR,
    REBOOT: 24 * HOUR,
    FACTORY_RESET: 1 * HOUR,
}

SUPERVISOR: Final = "00"
MAINTENANCE: Final = "99"

# --- states of a command (a deferred command stays fetched, with a retry time) ------------------------------

PENDING_APPROVAL: Final = "pending_approval"
QUEUED: Final = "queued"
FETCHED: Final = "fetched"
CANCELLING: Final = "cancelling"
APPLIED: Final = "applied"
REJECTED: Final = "rejected"
CANCELLED: Final = "cancelled"
SUPERSEDED: Final = "superseded"
EXPIRED: Final = "expired"

# `queued → applied` exists because a receipt can overtake the note that its token was fetched;
# `fetched → queued` is a re-issue under the same command id.
ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    PENDING_APPROVAL: frozenset({QUEUED, CANCELLED, SUPERSEDED, EXPIRED}),
    QUEUED: frozenset({FETCHED, APPLIED, REJECTED, CANCELLED, SUPERSEDED, EXPIRED}),
    FETCHED: frozenset({QUEUED, APPLIED, REJECTED, CANCELLING, SUPERSEDED, EXPIRED}),
    CANCELLING: frozenset({CANCELLED, APPLIED, REJECTED, SUPERSEDED, EXPIRED}),
    CANCELLED: frozenset({APPLIED}),
    SUPERSEDED: frozenset({APPLIED}),
    EXPIRED: frozenset({APPLIED}),
    APPLIED: frozenset(),
    REJECTED: frozenset(),
}
OPEN: Final = frozenset({PENDING_APPROVAL, QUEUED, FETCHED, CANCELLING})
SOFT_FINAL: Final = frozenset({CANCELLED, SUPERSEDED, EXPIRED})
HARD_FINAL: Final = frozenset({APPLIED, REJECTED})

# --- receipts ---------------------------------------------------------------------------------------------

DEFERRED: Final = "deferred"
SIGNED_ON: Final = "signed_on"
# The `sub` of the receipt of an offline unlock, which no token ever asked for.
OFFLINE: Final = "offline"
RECEIPT_STATUSES: Final = frozenset({DEFERRED, APPLIED, REJECTED, SIGNED_ON})

# A terminal that says one of these could not authenticate the token, so it knows no more than its hash.
RC_UNREAD: Final = frozenset({"malformed", "unknown_key", "key_revoked", "bad_signature"})
RC: Final = RC_UNREAD | frozenset(
    {
        "key_scope", "wrong_issuer", "wrong_audience", "wrong_key", "expired", "not_yet_valid",
        "seq_replayed", "seq_gap", "unsupported_cmd", "open_failed", "inner_mismatch", "operator_unknown",
        "policy_rejected", "guard_failed", "user_declined", "storage_failed", "unsettled_batch",
        "low_battery", "busy",
    }
)  # fmt: skip

OK: Final = "ok"
DUPLICATE: Final = "duplicate"
LATE: Final = "late"
UNKNOWN: Final = "unknown"
CONFLICT: Final = "conflict"
INVALID: Final = "invalid"

# --- errors -----------------------------------------------------------------------------------------------

PROBLEMS: Final[Mapping[str, tuple[int, str, bool]]] = {
    "malformed": (400, "The request cannot be read.", False),
    "unsupported_version": (400, "This protocol version is not served here.", False),
    "invalid_auth": (401, "The request is not authenticated.", False),
    "clock_skew": (401, "The clock of the terminal is too far off.", True),
    "pairing_failed": (401, "The pairing code is not valid.", False),
    "unconfirmed": (403, "The terminal has not confirmed its enrollment.", True),
    "quarantined": (403, "The terminal is quarantined.", False),
    "revoked": (403, "The terminal is revoked.", False),
    "not_found": (404, "There is nothing here.", False),
    "method_not_allowed": (405, "This is not how to ask here.", False),
    "conflict": (409, "The request does not fit the present state.", False),
    "key_in_use": (409, "This key is already registered.", False),
    "gone": (410, "This is over; start again.", False),
    "too_large": (413, "The request is too large.", False),
    "upgrade_required": (426, "The firmware must be updated.", False),
    "slow_down": (429, "Too many requests.", True),
    "internal": (500, "Something broke on the server.", True),
    "unavailable": (503, "The service is not available right now.", True),
}


class ProtocolError(Exception):
    """A refusal with what the edge needs to answer RFC 9457 problem+json."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        retry_after: int | None = None,
        server_time: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.status, self.title, self.retryable = PROBLEMS[code]
        self.retry_after = retry_after
        self.server_time = server_time

    def problem(self, trace: str) -> dict[str, Any]:
        """The body of the answer; `detail` is left out, it is for our own log."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "retryable": self.retryable,
            "trace": trace,
        }
        if self.retry_after is not None:
            body["retry_after"] = self.retry_after
        if self.server_time is not None:
            body["server_time"] = self.server_time
        return body


# --- ids --------------------------------------------------------------------------------------------------

ID_PREFIXES: Final = frozenset({"trm", "cmd", "tok", "rcp", "rec"})


def new_id(prefix: str) -> str:
    """`prefix_` and 16 base64url characters (96 random bits)."""
    if prefix not in ID_PREFIXES:
        raise ValueError(f"unknown id prefix {prefix!r}")
    return f"{prefix}_{secrets.token_urlsafe(12)}"


def is_id(value: object, prefix: str) -> bool:
    """Whether the value is an id of this prefix."""
    return isinstance(value, str) and re.fullmatch(prefix + r"_[A-Za-z0-9_-]{16}", value) is not None


# --- strict JSON ------------------------------------------------------------------------------------------

# The closing quote is optional so that a match at a quote never fails: a failing one would be tried again
# at every later quote, which takes quadratic time on hostile input.
_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def _check_depth(text: str, limit: int) -> None:
    if text.count("[") + text.count("{") <= limit:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        mark = match.group()[0]
        depth += (mark in "[{") - (mark in "]}")
        if depth > limit:
            raise ValueError("nested too deeply")


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"number not allowed: {text[:20]}")


def _small_int(text: str) -> int:
    if len(text) > 17 or text == "-0" or abs(int(text)) > INT_MAX:
        _refuse_number(text)
    return int(text)


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_float=_refuse_number,
    parse_int=_small_int,
    parse_constant=_refuse_number,
)


def strict_json(raw: bytes, max_depth: int = JSON_DEPTH_MAX) -> dict[str, Any]:
    """Parse one JSON object; raise ProtocolError `malformed` for all that two parsers could read differently.

    Refused: anything but an object, duplicate members, floats, NaN and Infinity, -0, integers over 2⁵³-1,
    a byte order mark, invalid UTF-8, lone surrogates, trailing bytes, nesting over `max_depth`.
    """
    try:
        text = raw.decode("utf-8")
        _check_depth(text, max_depth)
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ValueError as error:
        raise ProtocolError("malformed", f"JSON: {error}"[:120]) from None
    if not isinstance(value, dict):
        raise ProtocolError("malformed", "JSON: an object is wanted")
    return value
