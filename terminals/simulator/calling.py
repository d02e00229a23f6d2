"""Authenticated requests: the bearer a terminal signs for itself, and what a refusal means (protocol §2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from terminals import jose
from terminals.protocol import (
    BEARER_BACKDATE,
    BEARER_LIFETIME,
    BEARER_RENEW_BEFORE,
    PATH,
    TYP_AUTH,
    new_id,
)
from terminals.simulator.failpoints import reach
from terminals.simulator.state import Jwk, Pairing, State
from terminals.simulator.store import Store
from terminals.simulator.transport import Answer, Clock, Connection, Problem, Unreachable

JSON: Final = "application/json"
JOSE: Final = "application/jose"
_NAMES: Final = {"enroll/confirm": "confirm", "keys/roll": "roll"}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and by which key."""

    origin: str
    tid: str
    sign_key: Jwk


def identity_of(holder: State | Pairing) -> Identity:
    """The identity in force, or one that is still to be confirmed."""
    return Identity(holder.origin, holder.tid, holder.sign_key)


class Caller:
    """Sends requests on the one line there is, and keeps the bearer."""

    def __init__(self, store: Store, clock: Clock, line: Connection, say: Callable[[str], None]) -> None:
        self.store = store
        self.clock = clock
        self.line = line
        self.say = say
        self._bearer = ""
        self._renew_at = 0
        self._owner = ""

    def plain(
        self, origin: str, method: str, path: str, *, body: bytes | None = None, content: str = ""
    ) -> Answer:
        """A request without a bearer."""
        headers = {"Content-Type": content} if content else {}
        return self._exchange(origin, method, path, body=body, headers=headers, repeatable=method == "GET")

    def fetch(self, origin: str, path: str) -> str:
        """The text of a public document."""
        return self.plain(origin, "GET", path).text.strip()

    def call(
        self,
        who: Identity,
        method: str,
        path: str,
        body: dict[str, Any] | bytes | None = None,
        *,
        headers: dict[str, str] | None = None,
        wait: float = 0,
        repeatable: bool = True,
    ) -> Answer:
        """An authenticated request."""
        raw = json.dumps(body, ensure_ascii=False).encode() if isinstance(body, dict) else body
        extra = dict(headers or {})
        if raw is not None:
            extra["Content-Type"] = JSON if isinstance(body, dict) else JOSE

        def send() -> Answer:
            sent = {"Authorization": f"Bearer {self.bearer(who)}", **extra}
            return self._exchange(
                who.origin, method, path, body=raw, headers=sent, wait=wait, repeatable=repeatable
            )

        return self.with_a_fresh_bearer(lambda: self.at_the_right_time(send))

    def with_a_fresh_bearer(self, send: Callable[[], Answer]) -> Answer:
        """Send; if the bearer had been used before and is refused now, make a fresh one, once."""
        used_before = self._bearer
        try:
            return send()
        except Problem as problem:
            if problem.code != "invalid_auth":
                raise
            stale = bool(used_before) and used_before == self._bearer
            self.forget()
            if not stale:
                raise
        try:
            return send()
        except Problem:
            self.forget()
            raise

    def at_the_right_time(self, send: Callable[[], Answer]) -> Answer:
        """Send; if the server finds our clock off, correct it in memory and send once more."""
        try:
            return send()
        except Problem as problem:
            if problem.code != "clock_skew" or problem.server_time is None:
                raise
            self.clock.learn(problem.server_time, problem.asked_at)
            self.forget()
            self.say("clock corrected")
        return send()

    def bearer(self, who: Identity) -> str:
        """The bearer in use, or a new one 30 s before it ends."""
        now, owner = int(self.clock()), f"{who.tid} {who.origin} {jose.kid16(who.sign_key)}"
        if not self._bearer or now >= self._renew_at or owner != self._owner:
            self._bearer = jose.sign(self.bearer_claims(who, now), TYP_AUTH, who.sign_key)
            self._renew_at = now - BEARER_BACKDATE + BEARER_LIFETIME - BEARER_RENEW_BEFORE
            self._owner = owner
        return self._bearer

    def bearer_claims(self, who: Identity, now: int) -> dict[str, Any]:
        """Who, for whom, and how long."""
        issued = now - BEARER_BACKDATE
        times = {"iat": issued, "exp": issued + BEARER_LIFETIME}
        return {"iss": who.tid, "aud": who.origin + PATH, **times, "jti": new_id("tok")}

    def forget(self) -> None:
        """Sign a new bearer next time."""
        self._bearer = ""

    def _exchange(self, origin: str, method: str, path: str, **more: Any) -> Answer:
        name = _NAMES.get(path) or path.partition("/")[0].partition("?")[0]
        if not self.store.load().connected:
            self.line.close()
            raise Unreachable("no network")
        reach(f"{name}/not-yet-sent")
        answer = self.line.exchange(origin, method, path, **more)
        reach(f"{name}/sent")
        return answer
