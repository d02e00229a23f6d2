"""What the kit's server knows: keys, one terminal, its queue, and what came from it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from terminals import jose
from terminals.claims import KeysetClaims, parse_keyset
from terminals.conformance.door import Door
from terminals.protocol import (
    FACTORY_RESET,
    HOUR,
    KINDS,
    LIFETIME,
    PATH,
    PROBLEMS,
    REBOOT,
    TYP_COMMAND,
    TYP_KEYSET,
    WAIT_MAX,
    ProtocolError,
    new_id,
)

Jwk = dict[str, str]
EVERYDAY: Final = sorted(KINDS - {FACTORY_RESET, REBOOT})
YEAR: Final = 365 * 24 * HOUR
# The quickest that the protocol knows.
PACE: Final = {"interval": 3, "jitter": 0, "wait": 0}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; `at` is in seconds of a clock that never jumps."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def bearer(self) -> str:
        """The token in `Authorization`; empty if there is none."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: JSON, a compact JWS (text), or nothing."""

    status: int
    body: dict[str, Any] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def problem(code: str, trace: str = "", **more: Any) -> Reply:
    """A refusal as problem+json."""
    error = ProtocolError(code, **more)
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return Reply(
        PROBLEMS[code][0], error.problem(trace), {"Content-Type": "application/problem+json", **headers}
    )


class Memory:
    """The state of the kit's server. Rules and tests read and change it freely."""

    def __init__(self) -> None:
        self.origin = ""
        self.root, self.issuer, self.rebooter, self.resetter, self.revoked_key, self.low, self.early = (
            jose.generate_key(jose.SIGN) for _ in range(7)
        )
        self.code = "BCD-FGH-JKL"
        self.failures = 0
        self.code_used = False
        self.tid = new_id("trm")
        self.sign_key: Jwk = {}
        self.open_key: dict[str, Any] = {}
        self.pending: tuple[Jwk, dict[str, Any]] | None = None
        self.rolling: tuple[Jwk, dict[str, Any]] | None = None
        self.active = False
        self.nonce = jose.b64u(bytes(range(16)))
        self.offline_key = bytes(range(32))
        self.cmds: tuple[str, ...] = ()
        self.seq = 0
        # How many receipts came before the present key: their numbers do not count any more.
        self.past_receipts = 0
        self.issued: dict[str, dict[str, Any]] = {}
        self.outcomes: dict[str, str] = {}
        self.receipts: dict[str, dict[str, Any]] = {}
        self.receipt_bytes: dict[str, set[str]] = {}
        self.posted: list[tuple[str, str]] = []
        self.inventory: dict[str, Any] = {}
        self.keysets: dict[int, str] = {}
        self.recoveries: dict[str, dict[str, Any]] = {}
        self.clock_offset = 0
        # Where polls wait until they are wanted; without one nobody waits.
        self.door: Door | None = None
        # Whether every answer with tokens says that more follow.
        self.more_follows = False
        # Polls are held no longer than this, whatever they ask.
        self.hold_most = WAIT_MAX
        self.requests: list[Request] = []
        self.connections = 0
        self.changed = threading.Condition()
        # Every request that came with a bearer, and what was thought of it.
        self.gate: list[tuple[Request, str]] = []
        self.calm()

    def calm(self) -> None:
        """Nothing is queued, and nothing stands in the way of the usual answers."""
        self.tokens: list[str] = []
        self.pace = dict(PACE)
        self.fast_until: int | None = None
        # The next requests for a path are answered so.
        self.interrupts: dict[str, deque[Reply]] = {}
        # All requests for these paths, or below them, are answered so.
        self.closed: dict[str, Reply] = {}
        # The next answers for these paths get lost: the connection ends instead.
        self.lose: list[str] = []
        # Tokens stay in the queue whatever is reported of them.
        self.sticky = False
        # What is said of receipts instead of the truth, one after the other.
        self.verdicts: deque[str] = deque()
        # So many answers to receipts get lost on the way, and so many are one result short.
        self.lost_answers = self.short_answers = 0
        # Put into the next answer to an enrollment instead of what belongs there.
        self.false_keyset = self.false_binding = ""

    def now(self) -> int:
        """Unix seconds on this server's clock."""
        return int(time.time()) + self.clock_offset

    @property
    def audience(self) -> str:
        """What terminals call us in `aud`."""
        return self.origin + PATH

    # --- keysets ----------------------------------------------------------------------------------------

    def keyset(self, ver: int, /, **changes: Any) -> dict[str, Any]:
        """Claims of a keyset with all of our keys; a change to None removes a member."""
        now = self.now()
        windows = [
            (self.issuer, EVERYDAY, now - HOUR, now + YEAR),
            (self.rebooter, [REBOOT], now - HOUR, now + YEAR),
            (self.resetter, [FACTORY_RESET], now - HOUR, now + YEAR),
            (self.low, ["message"], now - HOUR, now + YEAR),
            (self.early, EVERYDAY, now + YEAR, now + 2 * YEAR),
            (self.revoked_key, EVERYDAY, now - HOUR, now + YEAR),
        ]
        claims: dict[str, Any] = {
            "iss": self.origin, "ver": ver, "iat": now - 5, "exp": now + YEAR,
            "keys": [
                {"jwk": jose.public_jwk(key), "cmds": cmds, "nbf": begin, "exp": end}
                for key, cmds, begin, end in windows
            ],
            "roots": [jose.public_jwk(self.root)], "revoked": [jose.kid16(self.revoked_key)],
        }  # fmt: skip
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def publish(self, ver: int, *, root: Jwk | None = None, **changes: Any) -> str:
        """Sign and publish a keyset; returns the token."""
        self.keysets[ver] = jose.sign(self.keyset(ver, **changes), TYP_KEYSET, root or self.root)
        return self.keysets[ver]

    @property
    def version(self) -> int:
        """The newest keyset."""
        return max(self.keysets, default=0)

    def newest(self) -> KeysetClaims:
        """Its claims."""
        claims, _ = jose.verify_self_vouched(self.keysets[self.version], TYP_KEYSET, "roots")
        return parse_keyset(claims)

    # --- the queue --------------------------------------------------------------------------------------

    def claims(self, cmd: str = "set_credential", /, **changes: Any) -> dict[str, Any]:
        """Claims of a good command with the next number; `password` is sealed into it."""
        now, cid, password = self.now(), new_id("cmd"), changes.pop("password", None)
        claims: dict[str, Any] = {
            "iss": self.origin, "aud": self.tid, "jkt": jose.kid16(self.sign_key), "iat": now,
            "exp": now + min(LIFETIME.get(cmd, HOUR), HOUR), "jti": new_id("tok"), "cid": cid,
            "seq": self.seq + 1, "cmd": cmd, "by": "usr_1", **changes,
        }  # fmt: skip
        if password is not None:
            claims["sealed"] = self.seal(claims["cid"], claims["op"], password)
        return {name: value for name, value in claims.items() if value is not None}

    def seal(self, cid: str, op: str, password: str, /, **changes: Any) -> str:
        """A password sealed to the terminal and bound to a command."""
        apv = changes.pop("apv", cid)
        plaintext = {
            "cid": cid,
            "aud": self.tid,
            "op": op,
            "password": password,
            "change_at_next_login": False,
        }
        return jose.seal({**plaintext, **changes}, self.open_key, apv)

    def issue(self, cmd: str = "set_credential", *, key: Jwk | None = None, **changes: Any) -> str:
        """Sign a command and put it into the queue; returns its `cid`."""
        claims = self.claims(cmd, **changes)
        self.seq = max(self.seq, claims["seq"]) if claims["seq"] - self.seq < 2**20 else self.seq
        self.enqueue(jose.sign(claims, TYP_COMMAND, key or self.issuer), claims)
        return str(claims["cid"])

    def enqueue(self, token: str, claims: Mapping[str, Any] | None = None) -> str:
        """Put any token at all into the queue; returns its digest."""
        tok = jose.digest(token)
        with self.changed:
            self.tokens.append(token)
            self.issued[tok] = dict(claims or {})
            self.changed.notify_all()
        return tok

    def start_over(self) -> None:
        """A new key is in force: numbers begin again, and what waits is signed again for it."""
        self.seq, self.past_receipts = 0, len(self.receipts)
        waiting, self.tokens = self.tokens, []
        for claims in (self.issued.get(jose.digest(token)) for token in waiting):
            if claims:
                self.issue(**{name: claims[name] for name in claims if name not in ("jkt", "seq", "jti")})

    def outcome(self, cid: str) -> list[str]:
        """What the terminal said of a command, in the order of arrival."""
        said = [claims for claims in self.receipts.values() if claims.get("cid") == cid]
        return [" ".join(filter(None, (claims["st"], claims.get("rc")))) for claims in said]

    def said_of(self, tok: str) -> list[dict[str, Any]]:
        """The receipts about one token, in the order of arrival."""
        return [claims for claims in self.receipts.values() if claims["tok"] == tok]

    # --- what tests put in between ----------------------------------------------------------------------

    def interrupt(self, path: str, *replies: Reply) -> None:
        """Answer the next requests for this path like this instead."""
        self.interrupts.setdefault(path, deque()).extend(replies)

    def asked(self, path: str, since: int = 0) -> list[Request]:
        """The requests for a path so far, from the one of this number on."""
        return [request for request in self.requests[since:] if request.path == path]
