"""A key roll that a lost reply or a power cut cannot break: the old key works until the new one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from terminals import jose
from terminals.protocol import ENROLL_LIFETIME_MAX, PATH, TYP_KEYROLL, TYP_POSSESSION, new_id
from terminals.simulator.calling import Caller, Identity, identity_of
from terminals.simulator.identity import roll_over
from terminals.simulator.state import Jwk, Rolling, State
from terminals.simulator.till import Till
from terminals.simulator.transport import Problem

_NOT_SERVED: Final = (400, 403, 404, 405, 409, 413)
# What no later answer can contradict. Everything else may pass, and an earlier request may still arrive: keys
# that were offered once are kept until others are in force, or the server would know what we have forgotten.
_NEVER: Final = ("malformed", "key_in_use", "not_found", "too_large")
_SPARE: Final = 10


class KeyRoll:
    """One round after another until the new key is in force. Each step can be repeated."""

    def __init__(
        self, till: Till, caller: Caller, report: Callable[[], None], say: Callable[[str], None]
    ) -> None:
        self.till = till
        self.caller = caller
        self.report = report
        self.say = say

    def step(self) -> bool:
        """Go on with a roll that is wanted or under way; whether the new key came into force."""
        state = self.till.store.load()
        if state.rolling is None and state.roll_wanted:
            self.begin()
        if self.till.store.load().rolling is None:
            return False
        if self._old_key_works():
            registered = self.register()
            if not registered:
                return False
        return self.try_new_key()

    def begin(self) -> None:
        """The new keys are in storage before anybody hears of them."""
        with self.till.store.transaction("roll") as state:
            open_key = jose.generate_key(jose.SEAL) if state.roll_wanted == "both" else state.open_key
            state.rolling = Rolling(jose.generate_key(jose.SIGN), open_key)
            state.roll_wanted = ""

    def _old_key_works(self) -> bool:
        """Say all that is to be said under the old key; if that is not known any more, the new one is."""
        try:
            self.report()
        except Problem as problem:
            if problem.code != "invalid_auth" and problem.status not in _NOT_SERVED:
                raise
            return problem.code != "invalid_auth"
        return True

    def register(self) -> bool:
        """Tell the server; False when it will not have it. A lost reply means: the same bytes again."""
        rolling = self.till.store.load().rolling
        if rolling is None or rolling.registered:
            return rolling is not None
        request = self.request(int(self.caller.clock()))
        who = identity_of(self.till.store.load())
        try:
            self.caller.call(who, "POST", "keys/roll", request.encode())
        except Problem as problem:
            if problem.code == "invalid_auth":
                return True
            if problem.code not in _NEVER:
                raise
            self.give_up(str(problem))
            return False
        with self.till.store.transaction("roll") as state:
            if state.rolling:
                state.rolling.registered = True
        return True

    def request(self, now: int) -> str:
        """The stored bytes while they are fresh; then new ones for the same keys, stored before use."""
        with self.till.store.transaction("roll") as state:
            rolling = state.rolling or Rolling({}, {})
            if not rolling.request or now > rolling.expires - _SPARE:
                rolling.expires = now + ENROLL_LIFETIME_MAX
                rolling.request = jose.sign(self.claims(state, rolling, now), TYP_KEYROLL, state.sign_key)
            return rolling.request

    def claims(self, state: State, rolling: Rolling, now: int) -> dict[str, Any]:
        """The old key vouches for the new one, which proves itself inside."""
        return {
            "iss": state.tid,
            "aud": state.origin + PATH,
            "iat": now,
            "exp": now + ENROLL_LIFETIME_MAX,
            "jti": new_id("tok"),
            "proof": self.proof(state, rolling.sign_key, rolling.open_key, now),
        }

    def proof(self, state: State, sign_key: Jwk, open_key: Jwk, now: int) -> str:
        """Signed by the new key, naming the old one."""
        claims = {
            "old": jose.kid16(state.sign_key),
            "enc": jose.public_jwk(open_key),
            "aud": state.origin + PATH,
            "iat": now,
            "jti": new_id("tok"),
        }
        return jose.sign(claims, TYP_POSSESSION, sign_key, embed_jwk=True)

    def try_new_key(self) -> bool:
        """The first request the server takes under the new key ends the old one, here and there."""
        state = self.till.store.load()
        if state.rolling is None:
            return False
        try:
            who = Identity(state.origin, state.tid, state.rolling.sign_key)
            self.caller.call(who, "GET", "commands?wait=0&max=1")
        except Problem as problem:
            if problem.code == "invalid_auth":
                self._register_again()
            raise
        with self.till.store.transaction("rolled") as state:
            roll_over(state, self.till.outbox)
            state.note("rolled", self.till.now(state), kid=jose.kid16(state.sign_key))
        self.caller.forget()
        self.say("key rolled")
        return True

    def _register_again(self) -> None:
        with self.till.store.transaction("roll") as state:
            if state.rolling:
                state.rolling.registered = False

    def give_up(self, why: str) -> None:
        """The server does not take these keys: the old ones stay."""
        with self.till.store.transaction("roll") as state:
            state.rolling = None
        self.say(f"key roll refused: {why}")
