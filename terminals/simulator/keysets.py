"""Which keysets this terminal follows, and the walk from its own to the newest (protocol §7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from terminals import jose
from terminals.claims import KeysetClaims, parse_keyset
from terminals.protocol import KEYSET_MAX, KEYSET_STEPS_MAX, TYP_KEYSET, ProtocolError
from terminals.simulator.state import State
from terminals.simulator.store import Store
from terminals.simulator.transport import Problem

_REVOKED_MAX: Final = 256


class Trust:
    """One method for each rule that the next keyset must pass."""

    def check(self, token: str, state: State) -> KeysetClaims:
        """Judge the keyset after ours; raises JoseError or ProtocolError."""
        keyset = parse_keyset(self.rooted(token, state))
        self.vouched(token, keyset)
        self.ours(keyset, state)
        self.next_version(keyset, state)
        self.sound(keyset)
        return keyset

    def rooted(self, token: str, state: State) -> dict[str, Any]:
        """Signed by a root that was pinned before."""
        roots = {jose.kid16(root): root for root in state.roots}
        return jose.verify(token, TYP_KEYSET, roots, max_size=KEYSET_MAX)

    def vouched(self, token: str, keyset: KeysetClaims) -> None:
        """By a root that stays one: nobody can hand us over to roots that did not sign."""
        signer = jose.read(token, TYP_KEYSET, max_size=KEYSET_MAX).kid
        if all(jose.kid16(jose.validate_public_key(root, jose.SIGN)) != signer for root in keyset.roots):
            raise ProtocolError("conflict", "its roots did not sign it")

    def ours(self, keyset: KeysetClaims, state: State) -> None:
        """Of the issuer we were paired with."""
        if keyset.iss != state.origin:
            raise ProtocolError("conflict", "not a keyset of this issuer")

    def next_version(self, keyset: KeysetClaims, state: State) -> None:
        """Exactly one version on."""
        if keyset.ver != state.keyset["ver"] + 1:
            raise ProtocolError("conflict", "not the next keyset")

    def sound(self, keyset: KeysetClaims) -> None:
        """No key or root that verifies more than it should."""
        for jwk in (*keyset.roots, *(key.jwk for key in keyset.keys)):
            jose.validate_public_key(jwk, jose.SIGN)

    def adopt(self, state: State, keyset: KeysetClaims) -> None:
        """Follow it: its roots are ours from now on, and what it revokes stays revoked."""
        state.keyset = asdict(keyset)
        state.roots = [jose.public_jwk(root) for root in keyset.roots]
        state.revoked = list(dict.fromkeys([*state.revoked, *keyset.revoked]))[-_REVOKED_MAX:]
        state.time_floor = max(state.time_floor, keyset.iat)


class Walk:
    """Fetches the keysets that follow ours, one by one."""

    def __init__(self, store: Store, trust: Trust, fetch: Callable[[str, str], str]) -> None:
        self.store = store
        self.trust = trust
        self.fetch = fetch

    def walk(self, most: int = KEYSET_STEPS_MAX) -> int:
        """Take up to so many steps; returns how many were accepted. Raises when the server cannot say."""
        for accepted in range(most):
            if not self.step():
                return accepted
        return most

    def step(self) -> bool:
        """One version on; False at the end of the walk, or at a keyset that is not to be followed."""
        state = self.store.load()
        try:
            token = self.fetch(state.origin, f"keysets/{state.keyset['ver'] + 1}")
        except Problem as problem:
            if problem.status == 404:
                return False
            raise
        try:
            with self.store.transaction("keyset") as fresh:
                self.trust.adopt(fresh, self.trust.check(token, fresh))
                fresh.trouble = ""
        except (ProtocolError, jose.JoseError) as error:
            # What is no keyset at all is only noise on the line.
            if error.code != "malformed":
                with self.store.transaction("keyset") as fresh:
                    fresh.trouble = "keyset_refused"
            return False
        return True
