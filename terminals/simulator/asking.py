"""A recovery that starts at this machine: the screen's QR and numbers, and how it ended (protocol §8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from terminals.simulator.calling import Caller, identity_of
from terminals.simulator.state import Asking, State
from terminals.simulator.till import Till
from terminals.simulator.transport import Problem, Unreachable

SHOWN_AFTERWARDS: Final = 120
_OUTCOMES: Final = ("denied", "expired", "done")
_REFUSALS: Final = {404: "unknown", 403: "refused", 429: "too_often"}


class Asker:
    """Asks for a recovery, then asks how it goes until it has ended."""

    def __init__(self, till: Till, caller: Caller, say: Callable[[str], None]) -> None:
        self.till = till
        self.caller = caller
        self.say = say

    def step(self) -> None:
        """Whatever is next for the recovery on the screen, if there is one."""
        state = self.till.store.load()
        asking, now = state.asking, self.till.now(state)
        if asking is None:
            return
        if asking.state == "wanted":
            self.start(state, asking.op, now)
        elif asking.state == "pending":
            self.follow(state, asking, now)
        elif now >= asking.until:
            self._put(None)

    def pause(self, pause: float) -> float:
        """Ask often while somebody stands in front of the machine."""
        asking = self.till.store.load().asking
        return min(pause, asking.interval) if asking and asking.state == "pending" else pause

    def start(self, state: State, op: str, now: int) -> None:
        """Not repeatable: if the answer gets lost, the next one replaces what it began."""
        try:
            answer = self.caller.call(identity_of(state), "POST", "recoveries", {"op": op}, repeatable=False)
        except Problem as problem:
            if problem.status not in _REFUSALS:
                raise
            self._end(Asking(op), _REFUSALS[problem.status], now)
            return
        asking = self.read(op, answer.body, now)
        with self.till.store.transaction("asked") as fresh:
            fresh.asking = asking
        self.say(f"recovery {asking.rid}")

    def read(self, op: str, body: Mapping[str, Any], now: int) -> Asking:
        """What the screen needs of the answer."""
        names = ("rid", "user_code", "verification_uri", "verification_uri_complete", "match")
        texts = [body.get(name) for name in names]
        expires, interval = body.get("expires_in"), body.get("interval")
        numbers = type(expires) is int and type(interval) is int
        if not numbers or not all(isinstance(text, str) and text.isprintable() for text in texts):
            raise Unreachable("recovery was not answered completely")
        rid, code, address, complete, match = map(str, texts)
        until = now + min(int(expires or 0), 3600)
        fast = min(max(int(interval or 0), 1), 60)
        return Asking(op, "pending", rid, code, address, complete, match, fast, until)

    def follow(self, state: State, asking: Asking, now: int) -> None:
        """How it goes; an answer that never comes means that its time ran out."""
        try:
            answer = self.caller.call(identity_of(state), "GET", f"recoveries/{asking.rid}")
            said = str(answer.body.get("state"))
        except Problem as problem:
            if problem.status not in (403, 404, 410):
                raise
            said = "expired" if problem.status == 410 else "denied"
        if now >= asking.until and said not in _OUTCOMES:
            said = "expired"
        if said in _OUTCOMES:
            self._end(asking, said, now)

    def _end(self, asking: Asking, outcome: str, now: int) -> None:
        asking.state, asking.until = outcome, now + SHOWN_AFTERWARDS
        self._put(asking)
        self.say(f"recovery {outcome}")

    def _put(self, asking: Asking | None) -> None:
        with self.till.store.transaction("outcome") as state:
            state.asking = asking
