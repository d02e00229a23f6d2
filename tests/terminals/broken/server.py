"""The kit's own server, and how a broken one is entered into the book."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from terminals import jose
from terminals.conformance.server import Server


class Whole(Server):
    """Nothing is broken; `reset` is what its owner does."""

    def reset(self, op: str, **changes: Any) -> None:
        """Issue a command."""
        self.fast_until = self.now() + 120
        self.issue(op=op, password="482917", **changes)

    def new_code(self) -> str:
        """Another pairing code."""
        self.code, self.code_used, self.failures = "CDF-GHJ-KLM", False, 0
        return self.code


BROKEN: dict[str, type[Whole]] = {}


def breaks(rule: str) -> Callable[[type[Whole]], type[Whole]]:
    """The rule that this server breaks."""

    def enter(server: type[Whole]) -> type[Whole]:
        BROKEN[rule] = server
        return server

    return enter


def peek(token: bytes | str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token, read as carelessly as possible."""
    text = token if isinstance(token, str) else token.decode("latin-1")
    header, claims = (json.loads(jose.unb64u(part.rstrip("="))) for part in text.split(".")[:2])
    return header, claims


def signed_by(token: str, key: Mapping[str, str]) -> bool:
    """Whether the signature of any token at all is by this key."""
    signed, _, signature = token.rpartition(".")
    try:
        jose._verifier(key["x"]).verify(signed.encode(), jose.unb64u(signature))
    except Exception:  # noqa: BLE001 - a mutant's business
        return False
    return True


def ours(server: Whole, header: dict[str, Any]) -> bool:
    return header.get("kid") == jose.kid16(server.sign_key)


def genuine(server: Whole, token: str) -> bool:
    return signed_by(token, server.sign_key)


def plain(header: dict[str, Any]) -> bool:
    return set(header) == {"alg", "typ", "kid"}
