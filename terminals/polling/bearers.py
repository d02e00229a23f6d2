"""Whom the poll knows: verified bearers until they end or their terminal changes, and what each last said."""

from __future__ import annotations

import time
from collections import OrderedDict

from portal.redis_pipe import pack
from terminals.authentication import Bearer, Owner
from terminals.inbox import key_of
from terminals.polling.pacing import Meter, interval_of
from terminals.protocol import BEARER_GRACE, ProtocolError

CAPACITY = 200_000
# The one in use, the one that follows it, and two more for a terminal that keeps forgetting them.
BEARERS_EACH = 4
STRANGERS = 8192
STRANGER_S = 10.0


class Caller:
    """One terminal that called: how to ask for its inbox, how often it may call, and when it last did."""

    __slots__ = (
        "headers", "interval", "meter", "noted_at", "owner", "question", "status", "telemetry", "terminal_id",
    )  # fmt: skip

    def __init__(self, terminal_id: str, interval: int) -> None:
        self.terminal_id = terminal_id
        self.interval = interval
        self.question = pack("HGETALL", key_of(terminal_id))
        self.meter = Meter()
        self.headers: tuple[bytes, ...] = ()
        self.owner: Owner | None = None
        self.noted_at = 0.0
        self.status = 0
        self.telemetry = b""


class Pass:
    """A verified bearer: whose it is, until when (Unix seconds), and why it opens nothing, if so."""

    __slots__ = ("caller", "expires", "refusal")

    def __init__(self, caller: Caller, expires: float, refusal: ProtocolError | None) -> None:
        self.caller = caller
        self.expires = expires
        self.refusal = refusal


class BearerCache:
    """Exact header bytes → Pass, bounded, oldest out first; used from one event loop only."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._passes: OrderedDict[bytes, Pass] = OrderedDict()
        self._callers: dict[str, Caller] = {}
        self._owners: dict[str, Owner] = {}
        self._strangers: OrderedDict[bytes, float] = OrderedDict()
        # Rises with every eviction: what was looked up before one must not be remembered after it.
        self.age = 0

    def __len__(self) -> int:
        return len(self._passes)

    def get(self, header: bytes, now: float) -> Pass | None:
        """The pass if the bearer was verified and is still in force."""
        found = self._passes.get(header)
        if found is None or found.expires > now:
            return found
        self._remove(header)
        return None

    def owner(self, kid: str) -> Owner | None:
        """Whose key this is, if a bearer signed by it was verified before."""
        return self._owners.get(kid)

    def put(
        self, header: bytes, bearer: Bearer, owner: Owner, refusal: ProtocolError | None, age: int
    ) -> Pass:
        """Remember a verified bearer, unless somebody was evicted since the cache had this `age`."""
        if age != self.age:
            interval = interval_of(bearer.power, bearer.poll_interval_s)
            return Pass(Caller(bearer.terminal_id, interval), 0.0, refusal)
        caller = self._callers.get(bearer.terminal_id)
        if caller is None:
            interval = interval_of(bearer.power, bearer.poll_interval_s)
            caller = self._callers[bearer.terminal_id] = Caller(bearer.terminal_id, interval)
        if caller.owner is not None:
            self._owners.pop(caller.owner.kid, None)
        caller.owner = self._owners[owner.kid] = owner
        made = self._passes[header] = Pass(caller, bearer.expires + BEARER_GRACE, refusal)
        caller.headers = (*(one for one in caller.headers if one != header), header)
        if len(caller.headers) > BEARERS_EACH:
            self._remove(caller.headers[0])
        if len(self._passes) > self._capacity:
            self._remove(next(iter(self._passes)))
        return made

    def is_stranger(self, header: bytes) -> bool:
        """Whether nobody was found to have signed this, a moment ago."""
        until = self._strangers.get(header)
        return until is not None and until > time.monotonic()

    def note_stranger(self, header: bytes) -> None:
        """Nobody we know signed this; the same bytes need not be looked at again for some seconds."""
        self._strangers[header] = time.monotonic() + STRANGER_S
        if len(self._strangers) > STRANGERS:
            self._strangers.popitem(last=False)

    def evict(self, terminal_id: str) -> None:
        """Forget what was known of one terminal; it may have been taken for a stranger."""
        self.age += 1
        self._strangers.clear()
        caller = self._callers.get(terminal_id)
        for header in caller.headers if caller else ():
            self._remove(header)

    def clear(self) -> None:
        """Forget everything: after a gap in which an eviction may have been missed."""
        self.age += 1
        for known in (self._passes, self._callers, self._owners, self._strangers):
            known.clear()

    def _remove(self, header: bytes) -> None:
        caller = self._passes.pop(header).caller
        caller.headers = tuple(one for one in caller.headers if one != header)
        if not caller.headers and self._callers.get(caller.terminal_id) is caller:
            del self._callers[caller.terminal_id]
            if caller.owner is not None:
                self._owners.pop(caller.owner.kid, None)
