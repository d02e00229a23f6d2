"""What each command does to the machine, once it has passed every check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from terminals.protocol import (
    CHOOSE_SCREEN,
    FACTORY_RESET,
    LOCK,
    MESSAGE,
    REBOOT,
    SET_CREDENTIAL,
    UNLOCK,
    VOID,
)
from terminals.simulator.checks import STOLEN, Accepted
from terminals.simulator.outbox import Outbox
from terminals.simulator.passwords import Passwords
from terminals.simulator.state import TRIES, Reset, Restart, State, Token, Wipe

RETRY_WHEN_BUSY = 30
COUNTDOWN = 60
LOW_BATTERY = 10


@dataclass(frozen=True, slots=True)
class Order:
    """An accepted token and the moment at which it is carried out."""

    accepted: Accepted
    tok: str
    now: int

    @property
    def token(self) -> Token:
        """What a later receipt repeats of it."""
        claims = self.accepted.claims
        return Token(claims.jti, claims.cid, claims.seq, self.tok)


class Effects:
    """One method for each command; each says whether the command is finished, or its receipt due later."""

    def __init__(self, passwords: Passwords, outbox: Outbox) -> None:
        self.passwords = passwords
        self.outbox = outbox
        self._doors: Mapping[str, Callable[[State, Order], bool]] = {
            SET_CREDENTIAL: self.set_credential,
            LOCK: self.lock,
            UNLOCK: self.unlock,
            MESSAGE: self.message,
            VOID: self.void,
            REBOOT: self.reboot,
            FACTORY_RESET: self.factory_reset,
        }

    def apply(self, state: State, order: Order) -> bool:
        """Carry it out."""
        return self._doors[order.accepted.claims.cmd](state, order)

    def unfit(self, state: State, accepted: Accepted) -> str:
        """Why the machine is in no condition for this command now or ever; empty if it is."""
        claims = accepted.claims
        if claims.cmd not in (REBOOT, FACTORY_RESET):
            return ""
        if claims.cmd == FACTORY_RESET and state.batch and claims.guard != STOLEN:
            return "unsettled_batch"
        weak = state.battery is not None and state.battery <= LOW_BATTERY and not state.charging
        return "low_battery" if weak else ""

    def retry_after(self, state: State, accepted: Accepted, now: int) -> int:
        """Seconds until a busy machine wants to be asked again; 0 if the command does not wait.

        A withdrawal never waits; a restart waits for as long as it was told to.
        """
        claims = accepted.claims
        if claims.cmd == VOID or not state.busy:
            return 0
        if claims.cmd == REBOOT and "idle_max" in claims.args:
            since = state.waits.get(claims.cid, now)
            return min(RETRY_WHEN_BUSY, max(0, since + int(claims.args["idle_max"]) - now))
        return RETRY_WHEN_BUSY

    def set_credential(self, state: State, order: Order) -> bool:
        """A new password, or a screen on which the operator chooses one."""
        claims, opened = order.accepted.claims, order.accepted.opened
        operator = state.operators[order.accepted.operator]
        operator.reset = Reset(claims.cid, claims.jti, claims.seq, order.tok)
        if opened is None:
            operator.reset.choose_until = order.now + CHOOSE_SCREEN
        else:
            self.passwords.set(state, operator, opened.password, order.now)
            operator.must_change = opened.change_at_next_login
        return True

    def lock(self, state: State, order: Order) -> bool:
        """Nobody signs on, or this operator does not."""
        return self._lock(state, order, locked=True)

    def unlock(self, state: State, order: Order) -> bool:
        """Undo a lock, by whomever."""
        return self._lock(state, order, locked=False)

    def _lock(self, state: State, order: Order, *, locked: bool) -> bool:
        operator = state.operators.get(order.accepted.operator)
        if operator is None:
            state.locked = locked
        else:
            operator.locked, operator.tries_left = locked, TRIES
        return True

    def message(self, state: State, order: Order) -> bool:
        """A line on the idle screen."""
        state.message = order.accepted.claims.args["text"]
        return True

    def void(self, state: State, order: Order) -> bool:
        """Withdraw another command: what waits is dropped, what was done is told again, and first."""
        ref = order.accepted.claims.args["ref"]
        state.waits.pop(ref, None)
        if state.wipe and state.wipe.token.cid == ref and not state.wipe.reported:
            state.done = [done for done in state.done if done.cid != ref]
            state.wipe = None
        for operator in state.operators.values():
            if operator.reset and operator.reset.cid == ref and operator.reset.choose_until is not None:
                operator.reset = None
        for done in state.done:
            if done.cid == ref:
                self.outbox.resend(state, done, "")
        return True

    def reboot(self, state: State, order: Order) -> bool:
        """Restart; the receipt comes after the boot."""
        state.restart = Restart(order.token, state.boots)
        return False

    def factory_reset(self, state: State, order: Order) -> bool:
        """Count down, report, wipe."""
        stolen = order.accepted.claims.guard == STOLEN
        at = order.now if stolen else order.now + COUNTDOWN
        state.wipe = Wipe(order.token, at, declinable=not stolen)
        return False
