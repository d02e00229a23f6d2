"""A new password without a network: ten digits on the screen, eight digits from the portal (protocol §9)."""

from __future__ import annotations

import hmac
from typing import Final

from terminals import jose, ocra
from terminals.policy import Rule
from terminals.protocol import UNLOCK_CHALLENGES_PER_DAY, UNLOCK_LIFETIME, UNLOCK_TRIES
from terminals.simulator.outbox import Outbox
from terminals.simulator.passwords import Passwords
from terminals.simulator.state import Challenge, State
from terminals.simulator.store import Store

DAY: Final = 86_400


class OfflineUnlock:
    """The machine's side of OCRA."""

    def __init__(self, store: Store, passwords: Passwords, outbox: Outbox) -> None:
        self.store = store
        self.passwords = passwords
        self.outbox = outbox

    def begin(self, number: str, now: int) -> tuple[str, str]:
        """A question for this operator, or why there is none: `unknown`, `new` or `unlock_locked`.

        The raised counter and the question are in storage before anybody sees the question.
        """
        with self.store.transaction("challenge") as state:
            if state.status != "active" or not state.offline_key:
                return "", "new"
            if number not in state.operators:
                return "", "unknown"
            if now < self.locked_until(state):
                return "", "unlock_locked"
            state.offline_counter += 1
            question = ocra.make_question(state.offline_counter)
            state.challenge = Challenge(number, state.offline_counter, question, now)
            state.challenges = [*state.challenges, now][-UNLOCK_CHALLENGES_PER_DAY:]
        return question, ""

    def locked_until(self, state: State) -> int:
        """After five questions in one day there is none for another day."""
        started = state.challenges
        if len(started) < UNLOCK_CHALLENGES_PER_DAY or started[-1] - started[0] >= DAY:
            return 0
        return started[-1] + DAY

    def answer(self, number: str, digits: str, now: int) -> str:
        """Try an answer: `ok` opens one password change; else `wrong` or `closed`."""
        with self.store.transaction("unlock-try") as state:
            challenge = self.open_challenge(state, number, now)
            if challenge is None or challenge.granted:
                return "closed"
            challenge.tries += 1
            if self.right(state, challenge, digits):
                challenge.granted = True
                return "ok"
            if challenge.tries >= UNLOCK_TRIES:
                state.challenge = None
            return "wrong"

    def open_challenge(self, state: State, number: str, now: int) -> Challenge | None:
        """The question for this operator, if it is still worth answering."""
        challenge = state.challenge
        if challenge is None or challenge.op != number or now > challenge.started + UNLOCK_LIFETIME:
            return None
        return challenge

    def granted(self, number: str, now: int) -> bool:
        """Whether a right answer was given and its password change is still to come."""
        challenge = self.open_challenge(self.store.load(), number, now)
        return challenge is not None and challenge.granted

    def right(self, state: State, challenge: Challenge, digits: str) -> bool:
        """Compare in constant time."""
        wanted = ocra.response(
            jose.unb64u(state.offline_key),
            challenge.counter,
            challenge.question,
            ocra.session_of(state.tid, challenge.op),
        )
        return hmac.compare_digest(wanted.encode(), digits.encode())

    def change(self, number: str, password: str, now: int) -> list[str]:
        """The one password change that a right answer allows; returns what is wrong with it."""
        with self.store.transaction("unlocked") as state:
            challenge, operator = self.open_challenge(state, number, now), state.operators.get(number)
            if challenge is None or operator is None or not challenge.granted:
                return ["closed"]
            problems = self.passwords.problems(state, operator, password, frozenset(Rule))
            if not problems:
                self.passwords.set(state, operator, password, now)
                operator.must_change, operator.reset = False, None
                self.outbox.offline(state, now, challenge.question, challenge.counter)
                state.note("unlocked", now, op=number, oc=challenge.counter)
                state.challenge = None
            return problems
