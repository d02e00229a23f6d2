"""What all terminals of a fleet have in common: the server, its keys, how they are paced, what is counted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from terminals import jose
from terminals.claims import parse_keyset
from terminals.fleet.figures import Figures
from terminals.fleet.unit import Unit
from terminals.fleet.wire import Answer, Server
from terminals.protocol import KEYSET_STEPS_MAX, TYP_KEYSET, ProtocolError
from terminals.simulator.keysets import Trust
from terminals.simulator.state import State

PATIENCE_S: Final = 15.0


class Untrusted(Exception):
    """The server's keysets are not those of the root that we were told to trust."""


@dataclass(slots=True)
class Shared:
    """One for the fleet; `trust` holds the keyset that all terminals follow, as a terminal's state does."""

    server: Server
    figures: Figures
    interval_cap: float
    wait_cap: float
    trust: State = field(default_factory=State)
    _walking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def state_of(self, unit: Unit) -> State:
        """The memory of one terminal, as the checks and the outbox of the simulator want it."""
        return State(
            status="active",
            origin=self.server.origin,
            tid=unit.tid,
            sign_key=unit.sign_key,
            open_key=unit.open_key,
            roots=self.trust.roots,
            keyset=self.trust.keyset,
            revoked=self.trust.revoked,
            hwm=unit.hwm,
        )

    async def pin(self, root: str = "") -> None:
        """Begin with the first keyset, by this root if one is named, and walk on. Raises Untrusted."""
        answer = await self._keyset(1)
        try:
            claims, signer = jose.verify_self_vouched(answer.body.strip(), TYP_KEYSET, "roots")
            keyset = parse_keyset(claims)
        except (jose.JoseError, ProtocolError) as error:
            raise Untrusted(f"keyset 1 cannot be read: {error}") from None
        if keyset.iss != self.server.origin or (root and jose.thumbprint(signer) != root):
            raise Untrusted("keyset 1 is not of this server, or not by this root")
        self.trust.origin = self.server.origin
        Trust().adopt(self.trust, keyset)
        await self.walk()

    async def walk(self) -> int:
        """Follow the keysets that came after ours, one by one; how many there were."""
        async with self._walking:
            for accepted in range(KEYSET_STEPS_MAX):
                answer = await self._keyset(self.trust.keyset["ver"] + 1)
                if answer.status != 200 or not self._adopt(answer.body.decode("latin-1").strip()):
                    return accepted
        return KEYSET_STEPS_MAX

    def _adopt(self, token: str) -> bool:
        trust = Trust()
        try:
            trust.adopt(self.trust, trust.check(token, self.trust))
        except (jose.JoseError, ProtocolError) as error:
            self.figures.errors[f"keyset: {error}"] += 1
            return False
        return True

    async def _keyset(self, version: int) -> Answer:
        line = await self.server.connect(PATIENCE_S)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await line.ask(self.server.request("GET", f"keysets/{version}", {}))
        finally:
            line.close()
