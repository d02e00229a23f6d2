"""The machine: its operators, their passwords, and what a command does to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from terminals import jose
from terminals.policy import TERMINAL_RULES, Context, Rule, violations
from terminals.protocol import (
    APPLIED,
    CHOOSE_SCREEN,
    DEFERRED,
    DONE_RING,
    HISTORY,
    LOCK,
    MESSAGE,
    OPERATORS_MAX,
    REJECTED,
    SET_CREDENTIAL,
    SIGNED_ON,
    TYP_RECEIPT,
    UNLOCK,
    VOID,
    new_id,
)
from terminals.simulator.checks import Accepted, AlreadyDone, Refused, check
from terminals.simulator.state import TRIES, Done, Operator, Outgoing, Reset, State
from terminals.simulator.store import Store

RETRY_WHEN_BUSY: Final = 30
HISTORY_PROBLEM: Final = "history"
SHARED_PROBLEM: Final = "shared"


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of one token: applied, rejected, deferred, or `repeated` (done before)."""

    st: str
    rc: str | None = None
    cmd: str = ""
    op: str = ""


@dataclass(frozen=True, slots=True)
class SignOn:
    """The answer of the sign-on screen; `reason` is ok, wrong, locked or unknown."""

    reason: str
    must_change: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the operator is signed on."""
        return self.reason == "ok"


class Till:
    """A machine on a state directory; several processes may hold one on the same directory."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

    def now(self, state: State) -> int:
        """Unix seconds; never before what a verified token has already proved to be past."""
        return max(int(self.clock()), state.time_floor)

    # --- commands ---------------------------------------------------------------------------------------

    def receive(self, token: str) -> Handled:
        """Judge a token and do what it says; its receipt is committed together with its effect."""
        with self.store.transaction() as state:
            try:
                accepted = check(token, state, self.now(state))
                return self._carry_out(state, token, accepted)
            except AlreadyDone as repeated:
                done = repeated.done
                if all(item.jti != done.receipt_jti for item in state.outbox):
                    state.outbox.append(Outgoing(done.receipt_jti, done.receipt, jose.digest(token)))
                return Handled("repeated")
            except Refused as refusal:
                self._refuse(state, token, refusal)
                return Handled(REJECTED, refusal.rc)

    def _carry_out(self, state: State, token: str, accepted: Accepted) -> Handled:
        claims, tok = accepted.claims, jose.digest(token)
        named = {"sub": claims.jti, "cid": claims.cid, "seq": claims.seq}
        operator = state.operators.get(accepted.operator)
        if claims.op is not None and operator is None:
            raise Refused("operator_unknown", named, spends=True)
        if any(done.cid == claims.cid and done.st == APPLIED for done in state.done):
            # Issued again by a server that forgot our receipt: in force already, only the receipt is due.
            if operator and operator.reset and operator.reset.cid == claims.cid:
                operator.reset.jti, operator.reset.seq, operator.reset.tok = claims.jti, claims.seq, tok
        else:
            opened = accepted.opened
            if opened and operator and self._problems(state, operator, opened.password):
                raise Refused("policy_rejected", named, spends=True)
            if state.busy:
                return self._defer(state, tok, accepted, named)
            self._apply(state, accepted, tok)
        state.hwm = claims.seq
        state.time_floor = max(state.time_floor, claims.iat)
        self._finish(state, tok, named, st=APPLIED)
        facts = {"jti": claims.jti, "cid": claims.cid, "cmd": claims.cmd, "op": accepted.operator}
        state.note(APPLIED, self.now(state), **facts)
        return Handled(APPLIED, None, claims.cmd, accepted.operator)

    def _defer(self, state: State, tok: str, accepted: Accepted, named: Mapping[str, Any]) -> Handled:
        if all(item.tok != tok for item in state.outbox):
            self._receipt(state, tok, named, st=DEFERRED, rc="busy", retry=RETRY_WHEN_BUSY)
        return Handled(DEFERRED, "busy", accepted.claims.cmd, accepted.operator)

    def _apply(self, state: State, accepted: Accepted, tok: str) -> None:
        claims, now = accepted.claims, self.now(state)
        operator = state.operators.get(accepted.operator)
        if claims.cmd == SET_CREDENTIAL and operator:
            operator.reset = Reset(claims.cid, claims.jti, claims.seq, tok)
            if accepted.opened is None:
                operator.reset.choose_until = now + CHOOSE_SCREEN
            else:
                self._set_password(operator, accepted.opened.password, now)
                operator.must_change = accepted.opened.change_at_next_login
        elif claims.cmd in (LOCK, UNLOCK):
            _lock(state, operator, locked=claims.cmd == LOCK)
        elif claims.cmd == MESSAGE:
            state.message = claims.args["text"]
        elif claims.cmd == VOID:
            _close_choose_screen(state, claims.args["ref"])

    def _refuse(self, state: State, token: str, refusal: Refused) -> None:
        tok = jose.digest(token)
        if not refusal.spends and any(item.tok == tok for item in state.outbox):
            return
        facts = {"jti": refusal.named.get("sub"), "rc": refusal.rc}
        state.note(REJECTED, self.now(state), **facts)
        if refusal.spends:
            state.hwm = max(state.hwm, refusal.named["seq"])
            self._finish(state, tok, refusal.named, st=REJECTED, rc=refusal.rc)
        elif refusal.named or refusal.rc in ("malformed", "unknown_key", "key_revoked", "bad_signature"):
            self._receipt(state, tok, refusal.named, st=REJECTED, rc=refusal.rc)

    # --- receipts ---------------------------------------------------------------------------------------

    def _finish(self, state: State, tok: str, named: Mapping[str, Any], **outcome: Any) -> None:
        # A deferral that has not been sent yet would only contradict the result.
        state.outbox = [item for item in state.outbox if item.tok != tok]
        receipt = self._receipt(state, tok, named, **outcome)
        state.done = [
            *state.done,
            Done(named["sub"], named["cid"], outcome["st"], receipt.jti, receipt.receipt),
        ][-DONE_RING:]

    def _receipt(self, state: State, tok: str, named: Mapping[str, Any], **outcome: Any) -> Outgoing:
        now, jti = self.now(state), new_id("rcp")
        claims = {"iss": state.tid, "aud": state.audience, "iat": now, "jti": jti, **named, "tok": tok}
        claims |= {**outcome, "at": now, "hwm": state.hwm}
        outgoing = Outgoing(jti, jose.sign(claims, TYP_RECEIPT, state.sign_key), tok)
        state.outbox.append(outgoing)
        return outgoing

    # --- passwords --------------------------------------------------------------------------------------

    def _matches(self, password: str, hashed: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def _problems(
        self, state: State, operator: Operator, password: str, rules: Collection[str] = TERMINAL_RULES
    ) -> list[str]:
        broken = violations(password, state.profile.policy(operator.role), Context())
        problems: list[str] = [rule for rule in broken if rule in rules]
        if problems:
            return problems
        if any(self._matches(password, hashed) for hashed in operator.hashes):
            problems.append(HISTORY_PROBLEM)
        if self._shared(state, operator.number, password):
            problems.append(SHARED_PROBLEM)
        return problems

    def _shared(self, state: State, number: str, password: str) -> bool:
        others = (other for other in state.operators.values() if other.number != number)
        return any(self._matches(password, other.hashes[0]) for other in others)

    def _set_password(self, operator: Operator, password: str, now: int) -> None:
        operator.hashes = [self._hasher.hash(password), *operator.hashes][:HISTORY]
        operator.changed_at, operator.weak = now, None
        operator.tries_left, operator.locked = TRIES, False

    # --- people at the machine --------------------------------------------------------------------------

    def seed(self, number: str, password: str, name: str) -> None:
        """Put an operator on a fresh machine, as its installer would; known numbers are left alone."""
        with self.store.transaction() as state:
            if number in state.operators or len(state.operators) >= OPERATORS_MAX:
                return
            operator = Operator(number, name, [self._hasher.hash(password)], self.now(state))
            operator.weak = self._weakness(state, operator, password)
            state.operators[number] = operator

    def _weakness(self, state: State, operator: Operator, password: str) -> str | None:
        broken = violations(password, state.profile.policy(operator.role), Context())
        if Rule.FACTORY_DEFAULT in broken:
            return "default"
        if {Rule.COMMON, Rule.REPEATED, Rule.RUN}.intersection(broken):
            return "common"
        return "shared" if self._shared(state, operator.number, password) else None

    def sign_on(self, number: str, password: str) -> SignOn:
        """Try to sign on; the first success after a reset is reported with a signed receipt."""
        with self.store.transaction() as state:
            operator = state.operators.get(number)
            if operator is None:
                return SignOn("unknown")
            if state.locked or operator.locked:
                return SignOn("locked")
            if not self._matches(password, operator.hashes[0]):
                operator.tries_left -= 1
                operator.locked = operator.tries_left <= 0
                return SignOn("locked" if operator.locked else "wrong")
            operator.tries_left = TRIES
            self._report_first_sign_on(state, operator)
            return SignOn("ok", operator.must_change)

    def _report_first_sign_on(self, state: State, operator: Operator) -> None:
        reset = operator.reset
        if reset is None or reset.choose_until is not None:
            return
        named = {"sub": reset.jti, "cid": reset.cid, "seq": reset.seq}
        self._receipt(state, reset.tok, named, st=SIGNED_ON)
        state.note(SIGNED_ON, self.now(state), jti=reset.jti, cid=reset.cid, op=operator.number)
        operator.reset = None

    def choose(self, number: str, password: str) -> list[str]:
        """Use the one-time "choose a new password" screen; returns what is wrong, `closed` if not open."""
        with self.store.transaction() as state:
            operator, now = state.operators.get(number), self.now(state)
            reset = operator.reset if operator else None
            if operator is None or reset is None or now > (reset.choose_until or 0):
                return ["closed"]
            problems = self._problems(state, operator, password, frozenset(Rule))
            if not problems:
                reset.choose_until = None
                self._set_password(operator, password, now)
                state.note("chosen", now, cid=reset.cid, op=number)
            return problems

    def change(self, number: str, old: str, new: str) -> list[str]:
        """Change one's own password, knowing the old one; returns what is wrong."""
        if not self.sign_on(number, old).accepted:
            return ["wrong"]
        with self.store.transaction() as state:
            operator = state.operators[number]
            problems = self._problems(state, operator, new, frozenset(Rule))
            if not problems:
                self._set_password(operator, new, self.now(state))
                operator.must_change = False
            return problems

    def set_busy(self, busy: bool) -> None:
        """Begin or end a sale; commands wait meanwhile."""
        with self.store.transaction() as state:
            state.busy = busy


def _lock(state: State, operator: Operator | None, *, locked: bool) -> None:
    if operator is None:
        state.locked = locked
    else:
        operator.locked = locked
        operator.tries_left = TRIES


def _close_choose_screen(state: State, cid: str) -> None:
    for operator in state.operators.values():
        if operator.reset and operator.reset.cid == cid and operator.reset.choose_until is not None:
            operator.reset = None
