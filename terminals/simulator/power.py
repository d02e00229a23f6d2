"""What happens around a loss of memory: a restart that was ordered, and a wipe in its three steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from terminals.protocol import APPLIED, REJECTED
from terminals.simulator.outbox import Outbox
from terminals.simulator.state import State
from terminals.simulator.store import Store

SENDS_MAX: Final = 3


class Power:
    """Boots, and the way to an empty machine. Each step is one commit, and each can be repeated."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self.store = store
        self.outbox = outbox

    def boot(self, now: int) -> None:
        """The machine has started: count it, and report a restart that was ordered before it."""
        with self.store.transaction("boot") as state:
            state.boots += 1
            state.busy = False
            ordered = state.restart
            if ordered is None or state.boots <= ordered.boots:
                return
            self.outbox.finish(state, now, ordered.token.tok, ordered.token.named, st=APPLIED)
            state.note("rebooted", now, cid=ordered.token.cid, boots=state.boots)
            state.restart = None

    def count_down(self, now: int) -> None:
        """At the end of the countdown say `applied`; only after that anything is destroyed."""
        state = self.store.load()
        if state.wipe is None or state.wipe.reported or now < state.wipe.at:
            return
        with self.store.transaction("wipe-due") as state:
            if state.wipe and not state.wipe.reported:
                token = state.wipe.token
                state.wipe.reported = self.outbox.finish(state, now, token.tok, token.named, st=APPLIED).jti
                state.note("wiping", now, cid=token.cid)

    def decline(self, now: int) -> bool:
        """A supervisor stops the countdown; whether there was one to stop."""
        with self.store.transaction("declined") as state:
            wipe = state.wipe
            if wipe is None or wipe.reported or not wipe.declinable:
                return False
            self.outbox.finish(state, now, wipe.token.tok, wipe.token.named, st=REJECTED, rc="user_declined")
            state.note("declined", now, cid=wipe.token.cid)
            state.wipe = None
            return True

    def tried(self) -> None:
        """One more attempt to report a wipe has been made."""
        with self.store.transaction("wipe-tried") as state:
            if state.wipe:
                state.wipe.sends += 1

    def ready_to_wipe(self, state: State) -> bool:
        """Whether the server knows, or has been told often enough."""
        wipe = state.wipe
        if wipe is None or not wipe.reported:
            return False
        return wipe.sends >= SENDS_MAX or all(item.jti != wipe.reported for item in state.outbox)

    def wipe(self, now: int) -> None:
        """Destroy keys, operators and everything else but what the machine is and how often it started."""
        with self.store.transaction("wiped") as state:
            state.note("wiped", now)
            fresh = State(
                profile=replace(state.profile),
                boots=state.boots,
                time_floor=state.time_floor,
                journal=state.journal,
                journal_n=state.journal_n,
                network=state.network,
                connected=state.connected,
                battery=state.battery,
                charging=state.charging,
                tampered=state.tampered,
            )
            vars(state).update(vars(fresh))
