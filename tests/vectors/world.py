"""A terminal, its issuer and its root with fixed keys, and tools to sign anything at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from docs.wire_examples import opening_key, signing_key
from terminals import jose
from terminals.protocol import TYP_AUTH, TYP_COMMAND, TYP_RECEIPT
from tests.vectors import sealing

T0 = 1_767_225_600
TID = "trm_0123456789abcdef"
ORIGIN = "https://rekey.example"
AUDIENCE = ORIGIN + "/terminal/v1"
HWM = 41
CID = "cmd_" + "C" * 16


ISSUER, TERMINAL, OPENING, ROOT = signing_key(0x11), signing_key(0x22), opening_key(0x33), signing_key(0x44)
STRANGER, REVOKED, EARLY, PAST, LOW_SCOPE = (signing_key(fill) for fill in (0x66, 0x77, 0x88, 0x99, 0xAA))
REBOOTER, RESETTER, NEXT, NEXT_ROOT = (signing_key(fill) for fill in (0xBB, 0xCC, 0xDD, 0xEE))


def sealed(
    cid: str = CID, *, aud: str = TID, op: str = "03", password: str = "482917", apv: str = "", **more: Any
) -> str:
    """A sealed part for the terminal; the same one each time it is asked for."""
    plaintext = {
        "cid": cid,
        "aud": aud,
        "op": op,
        "password": password,
        "change_at_next_login": False,
        **more,
    }
    return sealing.seal(compact(plaintext), OPENING, apv or cid)


def compact(value: object) -> bytes:
    """JSON without a space."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def command(**changes: Any) -> dict[str, Any]:
    """Claims of a good `set_credential`; a change to None removes the member."""
    claims: dict[str, Any] = {
        "iss": ORIGIN, "aud": TID, "jkt": jose.kid16(TERMINAL), "iat": T0, "exp": T0 + 72 * 3600,
        "jti": "tok_" + "A" * 16, "cid": CID, "seq": HWM + 1, "cmd": "set_credential", "op": "03",
        "by": "usr_1", "sealed": sealed(),
    }  # fmt: skip
    return _changed(claims, changes)


def receipt(**changes: Any) -> dict[str, Any]:
    """Claims of a good receipt."""
    claims: dict[str, Any] = {
        "iss": TID, "aud": AUDIENCE, "iat": T0, "jti": "rcp_" + "A" * 16, "sub": "tok_" + "A" * 16,
        "cid": CID, "seq": HWM + 1, "tok": jose.digest("x"), "st": "applied", "at": T0, "hwm": HWM + 1,
    }  # fmt: skip
    return _changed(claims, changes)


def bearer(**changes: Any) -> dict[str, Any]:
    """Claims of a good bearer."""
    claims = {"iss": TID, "aud": AUDIENCE, "iat": T0 - 60, "exp": T0 + 480, "jti": "A" * 12}
    return _changed(claims, changes)


def keyset(ver: int = 1, **changes: Any) -> dict[str, Any]:
    """Claims of a good keyset."""
    year = 365 * 86_400
    every = ["set_credential", "unlock", "lock", "message", "void"]
    windows = [(ISSUER, every, 0, year), (REVOKED, every, 0, year), (EARLY, every, year, 2 * year)]
    windows += [(PAST, every, -year, -86_400), (LOW_SCOPE, ["message"], 0, year)]
    windows += [(REBOOTER, ["reboot"], 0, year), (RESETTER, ["factory_reset"], 0, year)]
    claims: dict[str, Any] = {
        "iss": ORIGIN, "ver": ver, "iat": T0 - 86_400, "exp": T0 + year,
        "keys": [
            {"jwk": jose.public_jwk(key), "cmds": cmds, "nbf": T0 - 86_400 * 2 + low, "exp": T0 + high}
            for key, cmds, low, high in windows
        ],
        "roots": [jose.public_jwk(ROOT)], "revoked": [jose.kid16(REVOKED)],
    }  # fmt: skip
    return _changed(claims, changes)


def _changed(claims: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def library_key(jwk: Mapping[str, str]) -> OKPKey:
    """The same key for the library we check ourselves against."""
    members: dict[str, str | list[str]] = dict(jwk)
    return OKPKey.import_key(members)


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of token a parser waits for: how a good one is made."""

    name: str
    typ: str
    key: dict[str, str]
    claims: dict[str, Any]
    max_size: int

    @property
    def header(self) -> dict[str, Any]:
        """The header of a good one."""
        return {"alg": "Ed25519", "typ": self.typ, "kid": jose.kid16(self.key)}

    def good(self) -> str:
        """A token that must be accepted."""
        return jose.sign(self.claims, self.typ, self.key)


COMMAND = Kind("command", TYP_COMMAND, ISSUER, command(), 4096)
RECEIPT = Kind("receipt", TYP_RECEIPT, TERMINAL, receipt(), 2048)
BEARER = Kind("bearer", TYP_AUTH, TERMINAL, bearer(), 1024)


def encoded(value: object) -> str:
    """A JSON segment; bytes are taken as they are."""
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return jose.b64u(raw)


def forge(header: object, payload: object, key: Mapping[str, str]) -> str:
    """A token with any header and payload, and a signature that fits them."""
    signed = f"{encoded(header)}.{encoded(payload)}"
    private = Ed25519PrivateKey.from_private_bytes(jose.unb64u(key["d"]))
    return f"{signed}.{jose.b64u(private.sign(signed.encode()))}"
