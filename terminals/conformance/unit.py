"""The kit's own terminal: keys, and everything that is signed with them, right or wrong on purpose."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminals import jose
from terminals.protocol import (
    BEARER_BACKDATE,
    BEARER_LIFETIME,
    ENROLL_LIFETIME_MAX,
    PATH,
    TYP_AUTH,
    TYP_ENROLL,
    TYP_KEYROLL,
    TYP_POSSESSION,
    TYP_RECEIPT,
    new_id,
)

Jwk = dict[str, str]


def changed(claims: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The claims with changes; a change to None removes a member."""
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def forged(header: object, payload: object, key: Mapping[str, str]) -> str:
    """A token with any header and any payload (bytes as they are), and a signature that fits."""
    signed = f"{segment(header)}.{segment(payload)}"
    private = Ed25519PrivateKey.from_private_bytes(jose.unb64u(key["d"]))
    return f"{signed}.{jose.b64u(private.sign(signed.encode()))}"


def segment(value: object) -> str:
    """JSON as base64url; bytes as they are."""
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return jose.b64u(raw)


def payload_of(token: str) -> dict[str, Any]:
    """The claims of a token, whoever signed it."""
    claims = json.loads(jose.unb64u(token.split(".")[1]))
    return claims if isinstance(claims, dict) else {}


@dataclass(slots=True)
class Unit:
    """One machine. Its clock is ours plus `offset` seconds."""

    origin: str
    sign_key: Jwk = field(default_factory=lambda: jose.generate_key(jose.SIGN))
    open_key: Jwk = field(default_factory=lambda: jose.generate_key(jose.SEAL))
    tid: str = ""
    nonce: str = ""
    hwm: int = 0
    offset: int = 0

    def now(self) -> int:
        """Unix seconds on the server's clock, as far as we know it."""
        return int(time.time()) + self.offset

    @property
    def audience(self) -> str:
        """Whom everything is meant for."""
        return self.origin + PATH

    def enroll_claims(self, code: str, /, **changes: Any) -> dict[str, Any]:
        """What an enrollment says."""
        now = self.now()
        claims = {
            "aud": self.audience,
            "iat": now,
            "exp": now + ENROLL_LIFETIME_MAX,
            "jti": new_id("tok"),
            "code": code,
            "enc": jose.public_jwk(self.open_key),
            "fw": "1.0.0",
            "cap": {"keypad": "digits", "cmds": ["set_credential", "unlock", "lock", "message", "void"]},
            "hw": {"vendor": "Rekey", "model": "KIT-1", "serial": "KIT0001"},
        }
        return changed(claims, changes)

    def enroll(self, code: str, /, **changes: Any) -> str:
        """A `rekey-enroll+jwt`."""
        return jose.sign(self.enroll_claims(code, **changes), TYP_ENROLL, self.sign_key, embed_jwk=True)

    def bearer_claims(self, **changes: Any) -> dict[str, Any]:
        """What a bearer says."""
        issued = self.now() - BEARER_BACKDATE
        claims = {"iss": self.tid, "aud": self.audience, "iat": issued, "exp": issued + BEARER_LIFETIME}
        return changed({**claims, "jti": new_id("tok")[4:]}, changes)

    def bearer(self, **changes: Any) -> str:
        """A `rekey-auth+jwt`."""
        return jose.sign(self.bearer_claims(**changes), TYP_AUTH, self.sign_key)

    def header(self, typ: str, /, **changes: Any) -> dict[str, Any]:
        """A protected header of this terminal, with changes."""
        return changed({"alg": "Ed25519", "typ": typ, "kid": jose.kid16(self.sign_key)}, changes)

    def receipt_claims(self, token: str, st: str = "applied", /, **changes: Any) -> dict[str, Any]:
        """What a receipt for this command token says."""
        now, command = self.now(), payload_of(token)
        claims = {
            "iss": self.tid,
            "aud": self.audience,
            "iat": now,
            "jti": new_id("rcp"),
            "sub": command["jti"],
            "cid": command["cid"],
            "seq": command["seq"],
            "tok": jose.digest(token),
            "st": st,
            "at": now,
            "hwm": max(self.hwm, command["seq"]),
        }
        return changed(claims, changes)

    def receipt(self, token: str, st: str = "applied", /, **changes: Any) -> str:
        """A `rekey-receipt+jwt`."""
        return jose.sign(self.receipt_claims(token, st, **changes), TYP_RECEIPT, self.sign_key)

    def proof(self, new: Jwk, new_open: Jwk, /, **changes: Any) -> str:
        """A `rekey-pop+jwt` by the new key."""
        claims = {
            "old": jose.kid16(self.sign_key),
            "enc": jose.public_jwk(new_open),
            "aud": self.audience,
            "iat": self.now(),
            "jti": new_id("tok"),
        }
        return jose.sign(changed(claims, changes), TYP_POSSESSION, new, embed_jwk=True)

    def roll(self, proof: str, /, **changes: Any) -> str:
        """A `rekey-keyroll+jwt` by the present key."""
        now = self.now()
        claims = {
            "iss": self.tid,
            "aud": self.audience,
            "iat": now,
            "exp": now + ENROLL_LIFETIME_MAX,
            "jti": new_id("tok"),
            "proof": proof,
        }
        return jose.sign(changed(claims, changes), TYP_KEYROLL, self.sign_key)
