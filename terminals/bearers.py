"""Verified bearers, remembered by the poll until they end or their terminal changes."""

from __future__ import annotations

import time
from collections import OrderedDict

from terminals.authentication import Bearer
from terminals.protocol import BEARER_GRACE

CAPACITY = 200_000


class BearerCache:
    """Exact header bytes → Bearer, bounded, oldest out first; used from one event loop only."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._bearers: OrderedDict[bytes, Bearer] = OrderedDict()
        self._of_terminal: dict[str, set[bytes]] = {}

    def get(self, header: bytes) -> Bearer | None:
        """The bearer if it was verified and is still in force."""
        bearer = self._bearers.get(header)
        if bearer is None or bearer.expires > time.time() - BEARER_GRACE:
            return bearer
        self._remove(header)
        return None

    def put(self, header: bytes, bearer: Bearer) -> None:
        """Remember a verified bearer."""
        self._bearers[header] = bearer
        self._of_terminal.setdefault(bearer.terminal_id, set()).add(header)
        if len(self._bearers) > self._capacity:
            self._remove(next(iter(self._bearers)))

    def evict(self, terminal_id: str) -> None:
        """Forget what was known of one terminal."""
        for header in list(self._of_terminal.get(terminal_id, ())):
            self._remove(header)

    def clear(self) -> None:
        """Forget everything: after a gap in which an eviction may have been missed."""
        self._bearers.clear()
        self._of_terminal.clear()

    def _remove(self, header: bytes) -> None:
        bearer = self._bearers.pop(header, None)
        if bearer is None:
            return
        headers = self._of_terminal.get(bearer.terminal_id, set())
        headers.discard(header)
        if not headers:
            self._of_terminal.pop(bearer.terminal_id, None)
