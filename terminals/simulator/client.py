"""The conversation with the server: enroll, confirm, poll, report; and how long to wait in between."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from terminals import jose, pairing
from terminals.claims import parse_challenge, parse_keyset
from terminals.headers import Telemetry, parse_dictionary
from terminals.protocol import (
    BEARER_BACKDATE,
    BEARER_LIFETIME,
    BEARER_RENEW_BEFORE,
    ENROLL_LIFETIME_MAX,
    PATH,
    RECEIPTS_PER_POST,
    TOKENS_PER_POLL,
    TYP_AUTH,
    TYP_ENROLL,
    TYP_KEYSET,
    WAIT_MAX,
    ProtocolError,
    is_id,
    new_id,
)
from terminals.simulator.checks import SUPPORTED, check_keyset, names_unknown_key
from terminals.simulator.failpoints import reach
from terminals.simulator.state import Profile, State
from terminals.simulator.till import Handled, Till
from terminals.simulator.transport import Answer, Clock, Problem, Unreachable, exchange

FAST: Final = 3
SLOWEST: Final = 3600
BACKOFF_UNIT: Final = 15
BACKOFF_MOST: Final = 900
INVENTORY_EVERY: Final = 24 * 3600
OUTBOX_FULL: Final = 256
REFUSALS_MAX: Final = 3


class EnrollmentFailed(Exception):
    """The server's answer to an enrollment cannot be trusted or read."""


@dataclass(slots=True)
class Pace:
    """How the server asked us to poll, in seconds (`Rekey-Poll`)."""

    interval: int = 60
    jitter: int = 15
    wait: int = 25
    fast_until: int = 0

    def obey(self, header: str) -> None:
        """Take over what the header says, within sane bounds; unreadable headers change nothing."""
        members = parse_dictionary(header) or {}
        for name, low, high in (("interval", FAST, SLOWEST), ("jitter", 0, SLOWEST), ("wait", 0, WAIT_MAX)):
            value = members.get(name)
            if type(value) is int:
                setattr(self, name, min(max(value, low), high))
        fast_until = members.get("fast_until", 0)
        self.fast_until = fast_until if type(fast_until) is int else 0

    def pause(self, now: float, cap: float) -> float:
        """Seconds until the next poll."""
        if now < self.fast_until:
            return min(FAST, cap)
        return min(self.interval + random.uniform(0, self.jitter), cap)


class Client:
    """Speaks for one till. Everything that must survive is in the till's store."""

    def __init__(
        self,
        till: Till,
        clock: Clock,
        *,
        interval_cap: float = SLOWEST,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.till = till
        self.clock = clock
        self.pace = Pace()
        self._cap = interval_cap
        self._say = say
        self._etag = ""
        self._bearer = ""
        self._bearer_renew = 0
        self._failures = 0
        self._inventory_due = 0.0
        self._inventory_sent: dict[str, Any] = {}

    # --- enrollment -------------------------------------------------------------------------------------

    def enroll(self, origin: str, typed: str) -> None:
        """Pair with a typed code or a scanned QR; raises Problem, Unreachable or EnrollmentFailed."""
        scanned = pairing.parse_qr(typed)
        if scanned:
            origin, typed = scanned.origin, scanned.code
        profile = self.till.store.load().profile
        sign_key, open_key = jose.generate_key(jose.SIGN), jose.generate_key(jose.SEAL)
        headers = {"Content-Type": "application/jose"}

        def send() -> Answer:
            claims = _enroll_claims(origin, typed, jose.public_jwk(open_key), profile, int(self.clock()))
            token = jose.sign(claims, TYP_ENROLL, sign_key, embed_jwk=True)
            return exchange(origin, "POST", "enroll", body=token.encode(), headers=headers)

        answer = self._at_the_right_time(send)
        enrolled = _read_enrollment(answer, origin, open_key, scanned.root if scanned else None)
        with self.till.store.transaction() as state:
            state.status, state.origin = "unconfirmed", origin
            state.sign_key, state.open_key = sign_key, open_key
            state.hwm, state.done, state.outbox = 0, [], []
            for name, value in enrolled.items():
                setattr(state, name, value)
            state.time_floor = max(state.time_floor, state.keyset["iat"])
        if scanned is None:
            self._say(f"root trusted on first use: {jose.thumbprint(enrolled['roots'][0])}")
        self._bearer = self._etag = ""
        self.confirm()

    def confirm(self) -> None:
        """Prove the second key by returning the nonce; safe to repeat."""
        nonce = self.till.store.load().nonce
        self._call("POST", "enroll/confirm", {"nonce": nonce})
        with self.till.store.transaction() as state:
            state.status, state.nonce = "active", ""
        self._say("active")

    # --- the loop ---------------------------------------------------------------------------------------

    def run(self, stop: threading.Event, *, once: bool = False) -> None:
        """Poll until told to stop; `once` makes a single round."""
        while not stop.is_set():
            pause = self.step()
            if once:
                return
            stop.wait(pause)

    def step(self) -> float:
        """One round: report, poll, obey, report; returns the seconds to wait, whatever the network does."""
        try:
            pause = self._round()
        except Unreachable as error:
            return self._back_off(f"unreachable: {error}", None)
        except Problem as problem:
            if problem.code == "invalid_auth":
                self._bearer = ""
            return self._back_off(f"refused: {problem}", problem.retry_after)
        self._failures = 0
        return pause

    def _round(self) -> float:
        status = self.till.store.load().status
        if status == "new":
            raise Unreachable("not paired")
        if status == "unconfirmed":
            self.confirm()
        self.flush_receipts()
        self._send_inventory()
        if len(self.till.store.load().outbox) >= OUTBOX_FULL:
            return self.pace.pause(self.clock(), self._cap)
        answer = self._poll()
        self.pace.obey(answer.headers.get("rekey-poll", ""))
        handled = self._obey(answer) if answer.status == 200 else []
        self.flush_receipts()
        if any(outcome.st == "deferred" for outcome in handled):
            # What was deferred was not kept: ask for it again, whether or not the queue has changed.
            self._etag = ""
        elif answer.body.get("more") is True:
            return 0
        return self.pace.pause(self.clock(), self._cap)

    def _poll(self) -> Answer:
        wait = int(min(self.pace.wait, self._cap))
        headers = {"Rekey-Telemetry": self._telemetry().header()}
        if self._etag:
            headers["If-None-Match"] = self._etag
        path = f"commands?wait={wait}&max={TOKENS_PER_POLL}"
        answer = self._call("GET", path, headers=headers, wait=wait)
        if answer.status != 304:
            self._etag = answer.headers.get("etag", "")
        return answer

    def _obey(self, answer: Answer) -> list[Handled]:
        tokens = answer.body.get("tokens")
        handled: list[Handled] = []
        for token in tokens[:TOKENS_PER_POLL] if isinstance(tokens, list) else []:
            text = token if isinstance(token, str) else ""
            if names_unknown_key(text, self.till.store.load()):
                self.walk_keysets()
            outcome = self.till.receive(text)
            handled.append(outcome)
            self._say(" ".join(filter(None, (outcome.st, outcome.rc, outcome.cmd, outcome.op))))
            if outcome.st == "deferred":
                break
        return handled

    def _back_off(self, line: str, retry_after: int | None) -> float:
        self._say(line)
        self._etag = ""
        limit = min(BACKOFF_UNIT * 2 ** min(self._failures, 10), max(self.pace.interval, BACKOFF_MOST))
        self._failures += 1
        pause = random.uniform(0, limit)
        return max(min(pause, self._cap), retry_after or 0)

    # --- what we report ---------------------------------------------------------------------------------

    def flush_receipts(self) -> None:
        """Send what is in the outbox, eight at a time, and drop what the server has taken."""
        while batch := self.till.store.load().outbox[:RECEIPTS_PER_POST]:
            reach("receipts-not-yet-sent")
            answer = self._call("POST", "receipts", {"receipts": [item.receipt for item in batch]})
            reach("receipts-sent")
            results = answer.body.get("results")
            if not isinstance(results, list) or len(results) != len(batch):
                raise Unreachable("receipts were not answered one by one")
            refused = {
                item.jti
                for item, result in zip(batch, results, strict=True)
                if isinstance(result, dict) and result.get("r") == "invalid"
            }
            self._settle({item.jti for item in batch}, refused)
            if refused:
                return

    def _settle(self, sent: set[str], refused: set[str]) -> None:
        with self.till.store.transaction() as state:
            for item in state.outbox:
                item.refusals += item.jti in refused
            state.outbox = [
                item
                for item in state.outbox
                if item.jti not in sent or (item.jti in refused and item.refusals < REFUSALS_MAX)
            ]

    def _send_inventory(self) -> None:
        inventory = self.inventory()
        if inventory == self._inventory_sent and self.clock() < self._inventory_due:
            return
        self._call("PUT", "inventory", {"inventory": inventory})
        self._inventory_sent, self._inventory_due = inventory, self.clock() + INVENTORY_EVERY

    def inventory(self) -> dict[str, Any]:
        """Who is on this machine and how they are; never a password or a hash."""
        state = self.till.store.load()
        now = self.till.now(state)
        operators = [
            {
                "op": operator.number,
                "role": operator.role,
                "locked": operator.locked,
                "age_days": max(0, now - operator.changed_at) // 86_400,
                "tries_left": max(0, operator.tries_left),
                **({"weak": operator.weak} if operator.weak else {}),
            }
            for operator in sorted(state.operators.values(), key=lambda operator: operator.number)
        ]
        return {"operators": operators, "fw": state.profile.fw, "unsettled_batch": state.busy}

    def _telemetry(self) -> Telemetry:
        state = self.till.store.load()
        return Telemetry(
            pv=1, fw=state.profile.fw, hwm=state.hwm, ks=state.keyset.get("ver"), idle=not state.busy
        )

    # --- keysets ----------------------------------------------------------------------------------------

    def walk_keysets(self) -> int:
        """Fetch the keysets that follow ours, one by one; returns how many were accepted."""
        accepted = 0
        while accepted < 64:
            state = self.till.store.load()
            try:
                answer = exchange(state.origin, "GET", f"keysets/{state.keyset['ver'] + 1}")
                keyset = check_keyset(answer.text.strip(), state)
            except (Problem, ProtocolError, jose.JoseError):
                return accepted
            with self.till.store.transaction() as fresh:
                fresh.keyset = asdict(keyset) | {"revoked": list(keyset.revoked)}
                fresh.roots = [jose.public_jwk(root) for root in keyset.roots]
                fresh.time_floor = max(fresh.time_floor, keyset.iat)
            accepted += 1
        return accepted

    # --- authenticated calls ----------------------------------------------------------------------------

    def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        wait: float = 0,
    ) -> Answer:
        """An authenticated request."""
        state = self.till.store.load()
        raw = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        content = {} if raw is None else {"Content-Type": "application/json"}

        def send() -> Answer:
            sent = {"Authorization": f"Bearer {self._authorization(state)}", **content, **(headers or {})}
            return exchange(state.origin, method, path, body=raw, headers=sent, wait=wait)

        return self._at_the_right_time(send)

    def _at_the_right_time(self, send: Callable[[], Answer]) -> Answer:
        """Send; if the server finds our clock off, correct it in memory and send once more."""
        try:
            return send()
        except Problem as problem:
            if problem.code != "clock_skew" or problem.server_time is None:
                raise
            self.clock.learn(problem.server_time)
            self._bearer = ""
            self._say("clock corrected")
        return send()

    def _authorization(self, state: State) -> str:
        now = int(self.clock())
        if not self._bearer or now >= self._bearer_renew:
            issued, expires = now - BEARER_BACKDATE, now - BEARER_BACKDATE + BEARER_LIFETIME
            claims = {"iss": state.tid, "aud": state.audience, "iat": issued, "exp": expires}
            claims["jti"] = new_id("tok")
            self._bearer = jose.sign(claims, TYP_AUTH, state.sign_key)
            self._bearer_renew = expires - BEARER_RENEW_BEFORE
        return self._bearer


def _enroll_claims(origin: str, code: str, enc: dict[str, str], profile: Profile, now: int) -> dict[str, Any]:
    return {
        "aud": origin + PATH,
        "iat": now,
        "exp": now + ENROLL_LIFETIME_MAX,
        "jti": new_id("tok"),
        "code": code,
        "enc": enc,
        "cap": {"keypad": profile.keypad, "cmds": list(SUPPORTED)},
        "hw": {"vendor": profile.vendor, "model": profile.model, "serial": profile.serial},
        "fw": profile.fw,
    }


def _read_enrollment(
    answer: Answer, origin: str, open_key: dict[str, str], root: str | None
) -> dict[str, Any]:
    """What to remember of an enrollment; every part is verified first."""
    tid, token, challenge = (answer.body.get(name) for name in ("tid", "keyset", "challenge"))
    if not is_id(tid, "trm") or not isinstance(token, str) or not isinstance(challenge, str):
        raise EnrollmentFailed("incomplete answer")
    try:
        claims, signer = jose.verify_self_vouched(token, TYP_KEYSET, "roots")
        keyset = parse_keyset(claims)
        opened = parse_challenge(jose.open_sealed(challenge, open_key, str(tid)))
    except (jose.JoseError, ProtocolError) as error:
        raise EnrollmentFailed(str(error)) from None
    if keyset.iss != origin or (root is not None and jose.thumbprint(signer) != root):
        raise EnrollmentFailed("the keyset is not of the server this code is for")
    return {
        "tid": tid,
        "nonce": opened.nonce,
        "offline_key": opened.offline_key,
        "roots": [jose.public_jwk(jwk) for jwk in keyset.roots],
        "keyset": asdict(keyset),
    }
