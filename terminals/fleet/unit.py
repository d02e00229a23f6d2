"""One terminal of a fleet: its keys and what it has to remember, as small as can be."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from terminals.jose import SEAL, SIGN, b64u, sign, unb64u
from terminals.protocol import (
    BEARER_BACKDATE,
    BEARER_LIFETIME,
    BEARER_RENEW_BEFORE,
    PATH,
    TYP_AUTH,
    new_id,
)

# What the whole fleet says it runs.
FIRMWARE: Final = "fleet-1"
_PRIVATE_FILE: Final = 0o600


class Unit:
    """Identity, keys and high-water mark of one terminal; keys are raw bytes, 32 private and 32 public."""

    __slots__ = ("hwm", "opening", "serial", "signing", "tid")

    def __init__(self, serial: str, tid: str, signing: bytes, opening: bytes, hwm: int = 0) -> None:
        self.serial = serial
        self.tid = tid
        self.signing = signing
        self.opening = opening
        self.hwm = hwm

    @classmethod
    def fresh(cls, serial: str, tid: str = "") -> Unit:
        """A unit out of the box, with new keys."""
        sign, seal = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
        return cls(
            serial,
            tid,
            sign.private_bytes_raw() + sign.public_key().public_bytes_raw(),
            seal.private_bytes_raw() + seal.public_key().public_bytes_raw(),
        )

    @property
    def sign_key(self) -> dict[str, str]:
        """The private key it signs with, as a JWK."""
        return _jwk(SIGN, self.signing)

    @property
    def open_key(self) -> dict[str, str]:
        """The private key it opens with, as a JWK."""
        return _jwk(SEAL, self.opening)

    def bearer(self, origin: str, now: int) -> tuple[str, int]:
        """A bearer for this origin, and when to make the next one (Unix seconds)."""
        issued = now - BEARER_BACKDATE
        claims = {"iss": self.tid, "aud": origin + PATH, "iat": issued, "exp": issued + BEARER_LIFETIME}
        claims["jti"] = new_id("tok")
        return sign(claims, TYP_AUTH, self.sign_key), issued + BEARER_LIFETIME - BEARER_RENEW_BEFORE

    def as_json(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "serial": self.serial,
            "tid": self.tid,
            "signing": b64u(self.signing),
            "opening": b64u(self.opening),
            "hwm": self.hwm,
        }


def _jwk(crv: str, pair: bytes) -> dict[str, str]:
    return {"kty": "OKP", "crv": crv, "x": b64u(pair[32:]), "d": b64u(pair[:32])}


def save(units: Iterable[Unit], path: Path) -> None:
    """Write the fleet's memory, readable by its owner only, whole or not at all."""
    aside = path.with_suffix(".new")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        for unit in units:
            file.write(json.dumps(unit.as_json()) + "\n")
    aside.replace(path)


def load(path: Path) -> Iterator[Unit]:
    """The units of a fleet that was saved; none if it never was."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            plain = json.loads(line)
            for name in ("signing", "opening"):
                plain[name] = unb64u(plain[name])
            yield Unit(**plain)
