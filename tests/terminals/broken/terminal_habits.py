"""Terminals with bad habits: how they pair, who they say they are, what they do twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from terminals import jose
from terminals.protocol import TYP_AUTH, TYP_KEYSET, TYP_RECEIPT, new_id
from terminals.simulator import identity
from terminals.simulator.calling import Caller
from terminals.simulator.client import Client
from terminals.simulator.effects import Effects
from terminals.simulator.outbox import Outbox
from terminals.simulator.state import State
from terminals.simulator.till import SignOn, Till
from terminals.simulator.transport import Answer, Problem, Unreachable
from tests.terminals.broken.terminal import Line, breaks, headed

# --- pairing ----------------------------------------------------------------------------------------------


class WrongContent(Line):
    def outgoing(self, path: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return path, headed(more, Content_Type="application/json") if path == "enroll" else more


def _other_code(*given: Any) -> dict[str, Any]:
    return {**identity.enroll_claims(*given), "code": "ZZZ-ZZZ-ZZZ"}


def _any_root(answer: Answer, origin: str, keys: Any, root: str | None) -> Any:
    return _read_enrollment(answer, origin, keys, None)


_read_enrollment, _become = identity.read_enrollment, identity.become


def _read_any_issuer(answer: Answer, origin: str, keys: Any, root: str | None) -> Any:
    claims, _ = jose.verify_self_vouched(answer.body["keyset"], TYP_KEYSET, "roots")
    pairing = _read_enrollment(answer, claims["iss"], keys, root)
    return replace(pairing, origin=origin, keyset={**pairing.keyset, "iss": origin})


def _read_any_binding(answer: Answer, origin: str, keys: Any, root: str | None) -> Any:
    header = json.loads(jose.unb64u(answer.body["challenge"].split(".")[0]))
    bound = jose.unb64u(header["apv"]).decode()
    pairing = _read_enrollment(replace(answer, body={**answer.body, "tid": bound}), origin, keys, root)
    return replace(pairing, tid=answer.body["tid"])


def _starting_at(first: int, again: int | None) -> Any:
    def become(state: State, pairing: Any, outbox: Outbox) -> None:
        before, hwm = state.tid, state.hwm
        _become(state, pairing, outbox)
        if not before:
            state.hwm = first
        elif again is not None:
            state.hwm = max(hwm, again)

    return become


class ConfirmsOnce(Client):
    def confirm(self) -> None:
        tried, self.tried = getattr(self, "tried", False), True
        if not tried or self.till.store.load().status == "active":
            super().confirm()


breaks("pair-request", line=WrongContent)
breaks("pair-claims", ("terminals.simulator.client.enroll_claims", _other_code))
breaks("pair-clock", ("terminals.simulator.transport.Clock.learn", lambda *given: None))
breaks("pair-confirm", client=ConfirmsOnce)
breaks("pair-wrong-root", ("terminals.simulator.client.read_enrollment", _any_root))
breaks("pair-wrong-issuer", ("terminals.simulator.client.read_enrollment", _read_any_issuer))
breaks("pair-broken-challenge", ("terminals.simulator.client.read_enrollment", _read_any_binding))
breaks("pair-again", ("terminals.simulator.client.become", _starting_at(0, 1)))
breaks("apply", ("terminals.simulator.client.become", _starting_at(1, None)))


# --- carrying out -----------------------------------------------------------------------------------------


class RemembersOldPasswords(Till):
    def sign_on(self, number: str, password: str) -> SignOn:
        operator = self.store.load().operators.get(number)
        known = operator is not None and any(
            self.passwords.matches(password, old) for old in operator.hashes[1:]
        )
        return SignOn("ok") if known else super().sign_on(number, password)


class SignsAnew(Outbox):
    """A resent receipt is another one; `booted` says before or after the first restart."""

    booted = False

    def resend(self, state: State, done: Any, tok: str) -> None:
        if bool(state.boots) is self.booted and done.receipt:
            known = {jose.kid16(state.sign_key): jose.public_jwk(state.sign_key)}
            claims = jose.verify(done.receipt, TYP_RECEIPT, known, 2048)
            named = {name: claims[name] for name in ("sub", "cid", "seq")}
            self.receipt(state, claims["iat"], tok, named, st=claims["st"])
        else:
            super().resend(state, done, tok)


class DoesTwice(Till):
    def carried_out_before(self, state: State, cid: str) -> bool:
        return False


class SpendsWhenBusy(Till):
    def _defer(self, state: State, order: Any, retry: int) -> Any:
        state.hwm = order.token.seq
        return super()._defer(state, order, retry)


class GoesOn(Client):
    def _obey(self, answer: Answer) -> Any:
        tokens = answer.body.get("tokens", [])
        handled = super()._obey(answer)
        for token in tokens[len(handled) :]:
            handled.append(self.till.receive(token))
        return handled


_retry_after = Effects.retry_after
breaks("apply-in-force", till=RemembersOldPasswords)
breaks("apply-repeated", outbox=SignsAnew)
breaks("reboot", outbox=type("SignsAnewLater", (SignsAnew,), {"booted": True}))
breaks("apply-reissued", till=DoesTwice)
breaks("busy", till=SpendsWhenBusy)
breaks("busy-stops", client=GoesOn)
breaks(
    "void-overtakes",
    (
        "terminals.simulator.effects.Effects.retry_after",
        lambda self, state, accepted, now: (
            30 if state.busy and accepted.claims.cmd == "void" else _retry_after(self, state, accepted, now)
        ),
    ),
)


# --- bearers ----------------------------------------------------------------------------------------------

_bearer, _at_the_right_time, _fresh = Caller.bearer, Caller.at_the_right_time, Caller.with_a_fresh_bearer


def _always_new(self: Caller, who: Any) -> str:
    self.forget()
    return _bearer(self, who)


def _once_only(self: Caller, send: Callable[[], Answer]) -> Answer:
    if self.store.load().status != "active":
        return _at_the_right_time(self, send)
    try:
        return send()
    except Problem as problem:
        if problem.code == "clock_skew":
            self.clock.learn(problem.server_time or 0, problem.asked_at)
            self.forget()
        raise


def _stubborn(self: Caller, send: Callable[[], Answer]) -> Answer:
    kept = self._bearer
    try:
        return send()
    except Problem:
        self._bearer = kept or self._bearer
        raise


class Chatters(Client):
    """Asks something once with a bearer that is none."""

    said = False

    def token(self, state: State) -> str:
        return "none"

    def step(self) -> float:
        pause, state = super().step(), self.till.store.load()
        if state.status == "active" and not self.said:
            self.said = True
            headers = {"Authorization": f"Bearer {self.token(state)}"}
            with suppress(Problem, Unreachable):
                self.line.exchange(state.origin, "GET", f"recoveries/{new_id('rec')}", headers=headers)
        return pause


class ChattersLate(Chatters):
    def token(self, state: State) -> str:
        now = int(self.clock()) - 5000
        claims = {"iss": state.tid, "aud": state.audience, "iat": now, "exp": now + 540, "jti": new_id("tok")}
        return jose.sign(claims, TYP_AUTH, state.sign_key)


breaks("bearer-reused", ("terminals.simulator.calling.Caller.bearer", _always_new))
breaks("bearer-clock-moves", ("terminals.simulator.calling.Caller.at_the_right_time", _once_only))
breaks("bearer-refused", ("terminals.simulator.calling.Caller.with_a_fresh_bearer", _stubborn))
breaks("bearer-form", client=Chatters)
breaks("bearer-timely", client=ChattersLate)
