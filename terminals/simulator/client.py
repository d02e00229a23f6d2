"""The conversation with the server: enroll, confirm, report, poll, obey; one round after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from terminals import jose, pairing
from terminals.protocol import REBOOT, RECEIPTS_PER_POST, TOKENS_PER_POLL, TYP_ENROLL
from terminals.simulator import condition
from terminals.simulator.asking import Asker
from terminals.simulator.calling import JOSE, Caller, Identity, identity_of
from terminals.simulator.checks import names_unknown_key
from terminals.simulator.identity import EnrollmentFailed, become, enroll_claims, read_enrollment
from terminals.simulator.keysets import Walk
from terminals.simulator.outbox import FULL
from terminals.simulator.pacing import FAST, SLOWEST, Pace
from terminals.simulator.rolling import KeyRoll
from terminals.simulator.state import State
from terminals.simulator.till import Handled, Till
from terminals.simulator.transport import Answer, Clock, Connection, Problem, Unreachable

__all__ = ["FAST", "SLOWEST", "Client", "EnrollmentFailed", "Pace"]

KEYSETS_EVERY: Final = 24 * 3600
_SLICE: Final = 0.5
_UNWELCOME: Final = ("revoked", "quarantined", "upgrade_required")
# The pairing is over and cannot be finished; what was in force before it stays so.
_PAIRING_OVER: Final = ("conflict", "key_in_use", "gone", "not_found")
# What only the holder of a key that is in force is told.
_KNOWN: Final = ("revoked", "quarantined")
# Our own fault or not served: asking again would not help.
_HOPELESS: Final = (400, 403, 404, 405, 413, 422)
# The next request would be answered just the same.
_FOR_ALL: Final = (401, 429)


class Client:
    """Speaks for one till. Everything that must survive is in the till's store."""

    def __init__(
        self,
        till: Till,
        clock: Clock,
        *,
        interval_cap: float = SLOWEST,
        say: Callable[[str], None] = lambda line: None,
        pace: Pace | None = None,
        line: Connection | None = None,
    ) -> None:
        self.till = till
        self.clock = clock
        self.pace = pace or Pace()
        self.line = line or Connection()
        self.caller = Caller(till.store, clock, self.line, say)
        self.walk = Walk(till.store, till.trust, self.caller.fetch)
        self.roll = KeyRoll(till, self.caller, self.flush_receipts, say)
        self.asker = Asker(till, self.caller, say)
        self._cap = interval_cap
        self._say = say
        self._know_nothing()

    def _forget_memory(self) -> None:
        """What a machine does not know after a start."""
        self.pace = type(self.pace)()
        self.clock.forget()
        self.caller.forget()
        self.line.close()
        self._know_nothing()

    def _know_nothing(self) -> None:
        self._etag = ""
        self._keysets_due = 0.0
        self._inventory_due = 0.0
        self._inventory_sent: dict[str, Any] = {}
        self._ask_again_at: float | None = None
        self._batch = RECEIPTS_PER_POST

    # --- pairing ----------------------------------------------------------------------------------------

    def enroll(self, origin: str, typed: str) -> None:
        """Pair with a typed code or a scanned QR; raises Problem, Unreachable or EnrollmentFailed."""
        scanned = pairing.parse_qr(typed)
        if scanned:
            origin, typed = scanned.origin, scanned.code
        profile = self.till.store.load().profile
        keys = jose.generate_key(jose.SIGN), jose.generate_key(jose.SEAL)

        def send() -> Answer:
            claims = enroll_claims(origin, typed, jose.public_jwk(keys[1]), profile, int(self.clock()))
            token = jose.sign(claims, TYP_ENROLL, keys[0], embed_jwk=True)
            return self.caller.plain(origin, "POST", "enroll", body=token.encode(), content=JOSE)

        answer = self.caller.at_the_right_time(send)
        enrolled = read_enrollment(answer, origin, keys, scanned.root if scanned else None)
        with self.till.store.transaction("pairing") as state:
            state.pairing = enrolled
            if state.status == "new":
                state.status = "unconfirmed"
        if scanned is None:
            self._say(f"root trusted on first use: {jose.thumbprint(enrolled.roots[0])}")
        self.confirm()

    def confirm(self) -> None:
        """Prove the second key by returning the nonce; safe to repeat."""
        waiting = self.till.store.load().pairing
        if waiting is None:
            return
        try:
            self.caller.call(identity_of(waiting), "POST", "enroll/confirm", {"nonce": waiting.nonce})
        except Problem as problem:
            # A pairing that was begun since replaces the nonce; the key may be in force all the same.
            if problem.code != "conflict" or not self._is_let_in(identity_of(waiting)):
                if problem.code in _PAIRING_OVER or self._is_forgotten(problem):
                    self._give_up_pairing()
                raise
        with self.till.store.transaction("paired") as state:
            become(state, waiting, self.till.outbox)
        self._etag, self._keysets_due, self._inventory_sent = "", 0.0, {}
        self._say("active")

    def _is_forgotten(self, problem: Problem) -> bool:
        """Whether we are let in as who we were, and not as the new one: the server has forgotten that."""
        if problem.code != "invalid_auth":
            return False
        state = self.till.store.load()
        keys = [state.sign_key, *([state.rolling.sign_key] if state.rolling else [])]
        known = (self._is_let_in(Identity(state.origin, state.tid, key)) for key in keys)
        return state.status == "active" and any(known)

    def _is_let_in(self, who: Identity) -> bool:
        try:
            self.caller.call(who, "GET", "commands?wait=0&max=1")
        except Problem as problem:
            return problem.code in _KNOWN
        return True

    def _give_up_pairing(self) -> None:
        with self.till.store.transaction("paired") as state:
            state.pairing = None
            if state.status == "unconfirmed":
                state.status = "new"

    # --- the loop ---------------------------------------------------------------------------------------

    def run(self, stop: threading.Event, *, once: bool = False) -> None:
        """Start the machine and poll until told to stop; `once` makes a single round."""
        self.till.power.boot(self.till.present())
        while not stop.is_set():
            version = self.till.store.version()
            pause = self.step()
            if once:
                break
            self._sleep(stop, pause, version)
        self.close()

    def close(self) -> None:
        """Hang up; the next request opens a connection again."""
        self.line.close()

    def _sleep(self, stop: threading.Event, pause: float, version: int) -> None:
        """Wait, but not when somebody at the machine has something for the server meanwhile."""
        begun = time.monotonic()
        while (left := begun + pause - time.monotonic()) > 0 and not stop.wait(min(_SLICE, left)):
            rested = time.monotonic() - begun >= self.pace.gap(self.clock(), self._cap)
            changed = self.till.store.version() != version
            if changed and rested and not self.pace.failures and self.in_a_hurry(self.till.store.load()):
                return

    def in_a_hurry(self, state: State) -> bool:
        """Whether there is something that should not wait for the next poll."""
        if state.status != "active":
            return False
        facts = condition.worth_telling(condition.inventory(state, self.till.now(state)))
        wanted = state.asking is not None and state.asking.state == "wanted"
        ready = self._ask_again_at is not None and not state.busy
        return bool(state.outbox or state.roll_wanted or wanted or ready or facts != self._inventory_sent)

    def step(self) -> float:
        """One round: report, poll, obey, report; returns the seconds to wait, whatever the network does."""
        try:
            pause = self._round()
        except Unreachable as error:
            return self._back_off(f"unreachable: {error}", None)
        except OSError as error:
            return self._back_off(f"storage: {type(error).__name__}", None)
        except Problem as problem:
            return self._refused(problem)
        self.pace.failures = 0
        self._trouble("")
        return pause

    def _refused(self, problem: Problem) -> float:
        """No refusal makes us forget or destroy anything."""
        if problem.code in _UNWELCOME or problem.code == "invalid_auth":
            self._trouble(problem.code)
        if problem.code in _UNWELCOME:
            self._say(f"refused: {problem}")
            return self.pace.stand_by(self._cap)
        if problem.code == "slow_down":
            self.pace.slow_down()
        return self._back_off(f"refused: {problem}", problem.retry_after)

    def _trouble(self, what: str) -> None:
        if self.till.store.load().trouble not in (what, "keyset_refused"):
            self.till.alter(trouble=what)

    def _back_off(self, line: str, retry_after: int | None) -> float:
        self._say(line)
        return self.pace.back_off(retry_after, self._cap)

    def _round(self) -> float:
        if self.till.store.load().pairing:
            self.confirm()
        if self.till.store.load().status != "active":
            raise Unreachable("not paired")
        self.aside(self._roll_keys)
        if self._restarted() or self._wiped():
            return self.pace.gap(self.clock(), self._cap)
        self.aside(self.flush_receipts)
        self.aside(self._send_inventory)
        self.aside(self.asker.step)
        if self.clock() >= self._keysets_due:
            self.walk_keysets()
            self._keysets_due = self.clock() + KEYSETS_EVERY
        if len(self.till.store.load().outbox) >= FULL:
            return self.pace.pause(self.clock(), self._cap)
        return self._poll_and_obey()

    def _roll_keys(self) -> None:
        if self.roll.step():
            self._etag = ""

    def aside(self, action: Callable[[], None]) -> None:
        """Do it; if the server will not have it, the poll goes on all the same."""
        try:
            action()
        except Problem as problem:
            if problem.status in _FOR_ALL or problem.code == "revoked":
                raise
            self._say(f"refused: {problem}")

    # --- polling ----------------------------------------------------------------------------------------

    def _poll_and_obey(self) -> float:
        answer = self.poll()
        self.pace.obey(answer.headers.get("rekey-poll", ""))
        handled = self._obey(answer) if answer.status == 200 else []
        if answer.status != 304:
            # 204 has none: an empty queue differs from what the last one named.
            self._etag = answer.headers.get("etag", "")
        if handled or answer.status != 304:
            self._ask_again_at = None
        for outcome in handled:
            if outcome.retry:
                self._ask_again_at = self.clock() + outcome.retry
        self.aside(self.flush_receipts)
        if self._restarted():
            return self.pace.gap(self.clock(), self._cap)
        if answer.body.get("more") is True and self._ask_again_at is None:
            return 0
        return self.pause(self.till.store.load())

    def pause(self, state: State) -> float:
        """Seconds until the next round, as short as what is going on at the machine needs."""
        now = self.clock()
        pause = self.asker.pause(self.pace.pause(now, self._cap))
        if self._ask_again_at is not None:
            pause = min(pause, max(self._ask_again_at - now, self.pace.gap(now, self._cap)))
        if state.wipe:
            pause = min(pause, max(state.wipe.at - now, 0) if now < state.wipe.at else FAST, FAST)
        return pause

    def poll(self) -> Answer:
        """Ask for work; with the ETag of what we hold, unless something of it has to come again."""
        state = self.till.store.load()
        if self._ask_again_at is not None and (not state.busy or self.clock() >= self._ask_again_at):
            self._etag = ""
        wait = int(min(self.pace.wait, self._cap)) if self._may_be_held(state) else 0
        headers = {"Rekey-Telemetry": condition.telemetry(state).header()}
        if self._etag:
            headers["If-None-Match"] = self._etag
        path = f"commands?wait={wait}&max={TOKENS_PER_POLL}"
        return self.caller.call(identity_of(state), "GET", path, headers=headers, wait=wait)

    def _may_be_held(self, state: State) -> bool:
        """Not while the next step depends on us: a countdown, a sale, or somebody at the screen."""
        pending = state.asking is not None and state.asking.state == "pending"
        return not (state.wipe or pending or self._ask_again_at is not None)

    def _obey(self, answer: Answer) -> list[Handled]:
        tokens = answer.body.get("tokens")
        handled: list[Handled] = []
        for token in tokens[:TOKENS_PER_POLL] if isinstance(tokens, list) else []:
            text = token if isinstance(token, str) else ""
            self._learn_keys_for(text)
            outcome = self.till.receive(text)
            handled.append(outcome)
            self._say(" ".join(filter(None, (outcome.st, outcome.rc, outcome.cmd, outcome.op))))
            if outcome.st == "deferred" or (outcome.st == "begun" and outcome.cmd == REBOOT):
                break
        return handled

    def _learn_keys_for(self, token: str) -> None:
        """A key we do not know, or a keyset that has outlived itself: look for the keysets that follow."""
        state = self.till.store.load()
        if names_unknown_key(token, state) or self.clock() > state.keyset["exp"]:
            self.walk_keysets()

    def walk_keysets(self) -> int:
        """Fetch the keysets that follow ours, one by one; returns how many were accepted."""
        return self.walk.walk()

    # --- restarts and wipes -----------------------------------------------------------------------------

    def _restarted(self) -> bool:
        """Carry out a restart that was ordered; a power cut on the way was the restart."""
        if self.till.store.load().restart is None:
            return False
        self._say("restarting")
        self.till.power.boot(self.till.present())
        self.till.set_busy(False)
        self._forget_memory()
        self.aside(self.flush_receipts)
        return True

    def _wiped(self) -> bool:
        """Go on with a factory reset: count down, report, and only then destroy."""
        power, store = self.till.power, self.till.store
        power.count_down(self.till.present())
        wipe = store.load().wipe
        if wipe is None or not wipe.reported:
            return False
        if not power.ready_to_wipe(store.load()):
            power.tried()
            self._report_a_last_time()
        if not power.ready_to_wipe(store.load()):
            return False
        power.wipe(self.till.present())
        self._forget_memory()
        self._say("wiped")
        return True

    def _report_a_last_time(self) -> None:
        try:
            self.flush_receipts()
        except (Problem, Unreachable) as error:
            self._say(f"not reported: {error}")

    # --- what we report ---------------------------------------------------------------------------------

    def flush_receipts(self) -> None:
        """Send what is in the outbox, eight at a time, and drop what the server has taken."""
        while batch := self.till.store.load().outbox[: self._batch]:
            body = {"receipts": [item.receipt for item in batch]}
            try:
                answer = self.caller.call(identity_of(self.till.store.load()), "POST", "receipts", body)
            except Problem as problem:
                if problem.status == 413:
                    self._batch = max(1, self._batch // 2)
                raise
            results = answer.body.get("results")
            if not isinstance(results, list) or len(results) != len(batch):
                raise Unreachable("receipts were not answered one by one")
            refused = {
                item.jti
                for item, result in zip(batch, results, strict=True)
                if isinstance(result, dict) and result.get("r") == "invalid"
            }
            with self.till.store.transaction("settle") as state:
                self.till.outbox.settle(state, {item.jti for item in batch}, refused)
            if refused:
                return

    def _send_inventory(self) -> None:
        facts = self.inventory()
        worth = condition.worth_telling(facts)
        if worth == self._inventory_sent and self.clock() < self._inventory_due:
            return
        who = identity_of(self.till.store.load())
        try:
            self.caller.call(who, "PUT", "inventory", {"inventory": facts})
        except Problem as problem:
            if problem.status not in _HOPELESS:
                raise
            self._say(f"refused: {problem}")
        self._inventory_sent, self._inventory_due = worth, self.clock() + condition.INVENTORY_EVERY

    def inventory(self) -> dict[str, Any]:
        """Who is on this machine and how they and it are; never a password or a hash."""
        state = self.till.store.load()
        return condition.inventory(state, self.till.now(state))
