"""The machine: its operators, their passwords, and what a command does to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher

from terminals import jose
from terminals.policy import Rule
from terminals.protocol import (
    APPLIED,
    DEFERRED,
    OPEN_COMMANDS_MAX,
    OPERATORS_MAX,
    RC_UNREAD,
    REJECTED,
    SEQ_STEP_MAX,
    SIGNED_ON,
    SUPERVISOR,
)
from terminals.simulator.checks import Accepted, AlreadyDone, Judge, Refused
from terminals.simulator.effects import Effects, Order
from terminals.simulator.keysets import Trust
from terminals.simulator.offline import OfflineUnlock
from terminals.simulator.outbox import Outbox
from terminals.simulator.passwords import Passwords
from terminals.simulator.power import Power
from terminals.simulator.state import TRIES, Asking, Operator, State
from terminals.simulator.store import Store


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of one token: applied, rejected, deferred, `begun` (receipt to come) or `repeated`."""

    st: str
    rc: str | None = None
    cmd: str = ""
    op: str = ""
    retry: int = 0


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
    """A machine on a state directory; several processes may hold one on the same directory.

    Its parts (`judge`, `trust`, `effects`, `outbox`, `passwords`, `power`, `offline`) may be replaced.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        hasher: PasswordHasher | None = None,
        judge: Judge | None = None,
        trust: Trust | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.judge = judge or Judge()
        self.trust = trust or Trust()
        self.outbox = outbox or Outbox()
        self.passwords = Passwords(hasher or PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1))
        self.effects = Effects(self.passwords, self.outbox)
        self.power = Power(store, self.outbox)
        self.offline = OfflineUnlock(store, self.passwords, self.outbox)

    def now(self, state: State) -> int:
        """Unix seconds; never before what a verified token has already proved to be past."""
        return max(int(self.clock()), state.time_floor)

    def present(self) -> int:
        """The same, for whoever holds no state."""
        return self.now(self.store.load())

    # --- commands ---------------------------------------------------------------------------------------

    def receive(self, token: str) -> Handled:
        """Judge a token and do what it says; its receipt is committed together with its effect."""
        with self.store.transaction("receive") as state:
            try:
                accepted = self.judge.check(token, state, self.now(state))
                return self._carry_out(state, token, accepted)
            except AlreadyDone as repeated:
                self.outbox.resend(state, repeated.done, jose.digest(token))
                return Handled("repeated")
            except Refused as refusal:
                self._refuse(state, token, refusal)
                return Handled(REJECTED, refusal.rc)

    def _carry_out(self, state: State, token: str, accepted: Accepted) -> Handled:
        claims, order = accepted.claims, Order(accepted, jose.digest(token), self.now(state))
        if claims.op is not None and claims.op not in state.operators:
            raise Refused("operator_unknown", order.token.named, spends=True)
        finished = True
        if self.carried_out_before(state, claims.cid):
            finished = self._follow(state, order)
        else:
            self._acceptable(state, order)
            retry = self.effects.retry_after(state, accepted, order.now)
            if retry:
                return self._defer(state, order, retry)
            unfit = self.effects.unfit(state, accepted)
            if unfit:
                raise Refused(unfit, order.token.named, spends=True)
            finished = self.effects.apply(state, order)
        self._spend(state, order)
        if finished:
            self.outbox.finish(state, order.now, order.tok, order.token.named, st=APPLIED)
        else:
            self.outbox.begun(state, order.token)
        facts = {"jti": claims.jti, "cid": claims.cid, "cmd": claims.cmd, "op": accepted.operator}
        state.note(APPLIED if finished else "begun", order.now, **facts)
        return Handled(APPLIED if finished else "begun", None, claims.cmd, accepted.operator)

    def carried_out_before(self, state: State, cid: str) -> bool:
        """Whether this command is in force, under whatever token: issued again, it is only reported again."""
        return any(done.cid == cid and done.st == APPLIED for done in state.done)

    def _follow(self, state: State, order: Order) -> bool:
        """What was issued again by a server that forgot our receipt is reported by its newest token."""
        operator = state.operators.get(order.accepted.operator)
        if operator and operator.reset and operator.reset.cid == order.token.cid:
            operator.reset.jti, operator.reset.seq = order.token.jti, order.token.seq
            operator.reset.tok = order.tok
        for pending in (state.restart, state.wipe):
            if pending and pending.token.cid == order.token.cid:
                pending.token = order.token
                return False
        return True

    def _acceptable(self, state: State, order: Order) -> None:
        opened = order.accepted.opened
        operator = state.operators.get(order.accepted.operator)
        if opened and operator and self.passwords.problems(state, operator, opened.password):
            raise Refused("policy_rejected", order.token.named, spends=True)

    def _spend(self, state: State, order: Order) -> None:
        state.hwm = order.token.seq
        state.time_floor = max(state.time_floor, order.accepted.claims.iat)

    def _defer(self, state: State, order: Order, retry: int) -> Handled:
        state.waits.setdefault(order.token.cid, order.now)
        state.waits = dict(list(state.waits.items())[-OPEN_COMMANDS_MAX:])
        if all(item.tok != order.tok for item in state.outbox):
            named = order.token.named
            self.outbox.receipt(state, order.now, order.tok, named, st=DEFERRED, rc="busy", retry=retry)
        return Handled(DEFERRED, "busy", order.accepted.claims.cmd, order.accepted.operator, retry)

    def _refuse(self, state: State, token: str, refusal: Refused) -> None:
        tok, now = jose.digest(token), self.now(state)
        if not refusal.spends and any(item.tok == tok for item in state.outbox):
            return
        facts = {"jti": refusal.named.get("sub"), "rc": refusal.rc}
        state.note(REJECTED, now, **facts)
        if refusal.spends:
            # No refused token, however genuine, moves the mark further than one that is carried out may.
            if refusal.named["seq"] <= state.hwm + SEQ_STEP_MAX:
                state.hwm = max(state.hwm, refusal.named["seq"])
            self.outbox.finish(state, now, tok, refusal.named, st=REJECTED, rc=refusal.rc)
        elif refusal.named or refusal.rc in RC_UNREAD:
            self.outbox.receipt(state, now, tok, refusal.named, st=REJECTED, rc=refusal.rc)

    # --- people at the machine --------------------------------------------------------------------------

    def seed(self, number: str, password: str, name: str) -> None:
        """Put an operator on a fresh machine, as its installer would; known numbers are left alone."""
        with self.store.transaction("seed") as state:
            if number in state.operators or len(state.operators) >= OPERATORS_MAX:
                return
            hashed = self.passwords.hasher.hash(password)
            operator = Operator(number, name, [hashed], self.now(state))
            operator.weak = self.passwords.weakness(state, operator, password)
            state.operators[number] = operator

    def sign_on(self, number: str, password: str) -> SignOn:
        """Try to sign on; the first success after a reset is reported with a signed receipt."""
        with self.store.transaction("signed-on") as state:
            operator = state.operators.get(number)
            if operator is None:
                return SignOn("unknown")
            if state.locked or operator.locked:
                return SignOn("locked")
            if not self.passwords.matches(password, operator.hashes[0]):
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
        named: Mapping[str, Any] = {"sub": reset.jti, "cid": reset.cid, "seq": reset.seq}
        self.outbox.receipt(state, self.now(state), reset.tok, named, st=SIGNED_ON)
        state.note(SIGNED_ON, self.now(state), jti=reset.jti, cid=reset.cid, op=operator.number)
        operator.reset = None

    def choose(self, number: str, password: str) -> list[str]:
        """Use the one-time "choose a new password" screen; returns what is wrong, `closed` if not open."""
        with self.store.transaction("chosen") as state:
            operator, now = state.operators.get(number), self.now(state)
            reset = operator.reset if operator else None
            if operator is None or reset is None or now > (reset.choose_until or 0):
                return ["closed"]
            problems = self.passwords.problems(state, operator, password, frozenset(Rule))
            if not problems:
                reset.choose_until = None
                self.passwords.set(state, operator, password, now)
                state.note("chosen", now, cid=reset.cid, op=number)
            return problems

    def change(self, number: str, old: str, new: str) -> list[str]:
        """Change one's own password, knowing the old one; returns what is wrong."""
        if not self.sign_on(number, old).accepted:
            return ["wrong"]
        with self.store.transaction("changed") as state:
            operator = state.operators[number]
            problems = self.passwords.problems(state, operator, new, frozenset(Rule))
            if not problems:
                self.passwords.set(state, operator, new, self.now(state))
                operator.must_change = False
            return problems

    def forgot(self, number: str) -> str:
        """Ask the portal for help with this operator; `ok`, or why not (`unknown`, `new`)."""
        with self.store.transaction("wanted") as state:
            if state.status != "active":
                return "new"
            if number not in state.operators:
                return "unknown"
            state.asking = Asking(number)
            return "ok"

    def decline(self, number: str, password: str) -> str:
        """A supervisor stops a factory reset that counts down: `ok`, `closed`, or what sign-on said."""
        if number != SUPERVISOR:
            return "wrong"
        answer = self.sign_on(number, password)
        if not answer.accepted:
            return answer.reason
        return "ok" if self.power.decline(self.present()) else "closed"

    # --- the machine itself -----------------------------------------------------------------------------

    def set_busy(self, busy: bool) -> None:
        """Begin or end a sale; commands wait meanwhile."""
        self.alter(busy=busy)

    def alter(self, **facts: Any) -> None:
        """Change the condition of the machine: busy, batch, tampered, network, connected, battery …"""
        with self.store.transaction("altered") as state:
            for name, value in facts.items():
                setattr(state, name, value)
