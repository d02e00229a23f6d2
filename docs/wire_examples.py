"""Wire examples of terminal-protocol.md, from fixed keys: `python docs/wire_examples.py` writes them anew.

A test compares, so that no example can stop being true. Seeds are 32 equal bytes; never use such keys.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

ROOM = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOM.parent))

from terminals import jose, ocra, pairing, protocol  # noqa: E402 - the line above makes it findable

DOCUMENT = ROOM / "terminal-protocol.md"
ORIGIN = "https://rekey.example"
NOW = 1_767_225_600
TID, CID, JTI = "trm_0123456789abcdef", "cmd_0123456789abcdef", "tok_0123456789abcdef"
RCP, RID = "rcp_0123456789abcdef", "rec_0123456789abcdef"
PASSWORD = "719402"  # noqa: S105 - an example
NONCE = jose.b64u(bytes(range(16)))
OFFLINE_KEY = jose.b64u(bytes(range(32)))
# ECDH-ES draws a new ephemeral key each time, so these two were made once; `check` opens them.
CHALLENGE = (
    "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImtpZCI6Ik9iNXVkQmFrQUhVUU9XMFUiLCJhcHYiOiJkSEp0WHpB"
    "eE1qTTBOVFkzT0RsaFltTmtaV1kiLCJlcGsiOnsiY3J2IjoiWDI1NTE5IiwieCI6IkllNlVyamo1RHhjcE81cG1nWEMzbHd2"
    "MzFfaC1EdDVJTGZqX2NxSG9pSDgiLCJrdHkiOiJPS1AifX0..6ed6Fk2l7wqsTGcO.8TENM6mpsNXkcY4JFrxocu96l2NaH4"
    "dhvwpk6WzAdz4iOPkYmTB_RgJL1RL9e5uHldlLNaTUoBzfFhYsHE1NbS08HVj-sCNJyHUlpTXBJTdmFBwjG1WybTa3L-vM0g"
    ".14gkzOqQ36Ru-KrXGQ59ug"
)
SEALED = (
    "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImtpZCI6Ik9iNXVkQmFrQUhVUU9XMFUiLCJhcHYiOiJZMjFrWHpB"
    "eE1qTTBOVFkzT0RsaFltTmtaV1kiLCJlcGsiOnsiY3J2IjoiWDI1NTE5IiwieCI6IjRPNkZWTjNQZUVfeEJHQXEyS2p6cUVs"
    "a0dBYXY5Rkc4dDJPS3dGYU1CaDAiLCJrdHkiOiJPS1AifX0..sn_9qCa_Tf2ATzau._FNfNoOKFW2GRDp-SPN_0jpe42TTU_"
    "SaWZNU6ogWZ8aSwAzifsBfW2UoERNf3lj2XPIqJD-NCY1ODnmnY0C3p4E33V_HoaqnGT4ciudZnXTOdXxEVItF1TAGw-S5g2"
    "ZW5k7sSgyf2jK3_wIhpS0MVAYkI-fXfQ.lr_bf8iWZhr4OHnVP7jwJA"
)


def signing_key(fill: int) -> dict[str, str]:
    """The Ed25519 JWK whose seed is 32 equal bytes."""
    seed = bytes([fill]) * 32
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return {"kty": "OKP", "crv": "Ed25519", "x": jose.b64u(public), "d": jose.b64u(seed)}


def opening_key(fill: int) -> dict[str, str]:
    """The X25519 JWK whose seed is 32 equal bytes."""
    seed = bytes([fill]) * 32
    public = X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return {"kty": "OKP", "crv": "X25519", "x": jose.b64u(public), "d": jose.b64u(seed)}


ROOT, ISSUER, SIGN, OPEN = signing_key(0x44), signing_key(0x11), signing_key(0x22), opening_key(0x33)
AHEAD, RESETTER = signing_key(0x12), signing_key(0x13)
AUDIENCE = ORIGIN + protocol.PATH

ENROLL: dict[str, Any] = {
    "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300, "jti": "a1b2c3d4e5f6g7h8", "code": "BCD-FGH-JKL",
    "enc": jose.public_jwk(OPEN), "cap": {"keypad": "digits", "cmds": ["set_credential"]},
    "hw": {"vendor": "Rekey", "model": "RK-100", "serial": "RK20260001"}, "fw": "4.2.1",
}  # fmt: skip
KEYSET: dict[str, Any] = {
    "iss": ORIGIN, "ver": 1, "iat": NOW - 86_400, "exp": NOW + 34_560_000,
    "keys": [
        {"jwk": jose.public_jwk(key), "cmds": cmds, "nbf": NOW - 86_400, "exp": NOW + 77_673_600}
        for key, cmds in (
            (ISSUER, sorted(protocol.KINDS - {protocol.FACTORY_RESET})),
            (AHEAD, sorted(protocol.KINDS - {protocol.FACTORY_RESET})),
            (RESETTER, [protocol.FACTORY_RESET]),
        )
    ],
    "roots": [jose.public_jwk(ROOT)], "revoked": [],
}  # fmt: skip
BEARER: dict[str, Any] = {
    "iss": TID, "aud": AUDIENCE, "iat": NOW - 60, "exp": NOW + 480, "jti": "q7w8e9r0t1y2",
}  # fmt: skip
INNER = {"cid": CID, "aud": TID, "op": "03", "password": PASSWORD, "change_at_next_login": False}
COMMAND: dict[str, Any] = {
    "iss": ORIGIN, "aud": TID, "jkt": jose.kid16(SIGN), "iat": NOW, "exp": NOW + 259_200, "jti": JTI,
    "cid": CID, "seq": 42, "cmd": "set_credential", "by": f"recovery:{RID}", "op": "03", "rid": RID,
    "sealed": SEALED,
}  # fmt: skip

VOID: dict[str, Any] = {
    **{name: COMMAND[name] for name in ("iss", "aud", "jkt", "iat", "exp")},
    "jti": "tok_fedcba9876543210", "cid": "cmd_fedcba9876543210", "seq": 43, "cmd": "void", "by": "user:7",
    "args": {"ref": CID},
}  # fmt: skip
FACTORY_RESET: dict[str, Any] = {
    **{name: COMMAND[name] for name in ("iss", "aud", "jkt", "iat")},
    "exp": NOW + 3600, "jti": "tok_00112233445566aa", "cid": "cmd_00112233445566aa", "seq": 44,
    "cmd": "factory_reset", "by": "user:7", "apr": ["user:9"], "args": {"scope": "all"},
    "guard": {"bk": "backup-2025-12-31", "bk_at": NOW - 7200},
}  # fmt: skip
INVENTORY: dict[str, Any] = {
    "operators": [
        {"op": "00", "role": "supervisor", "locked": False, "age_days": 12, "tries_left": 5},
        {"op": "03", "role": "ordinary", "locked": False, "age_days": 40, "tries_left": 5, "weak": "default"},
    ],
    "fw": "4.2.1", "app": "checkout 7.3", "battery": 83, "charging": True, "network": "wifi",
    "unsettled_batch": False, "tamper": False,
}  # fmt: skip


RECOVERY = {
    "rid": RID, "user_code": "BCDF-GHJK", "verification_uri": f"{ORIGIN}/t",
    "verification_uri_complete": f"{ORIGIN}/t/BCDFGHJK", "expires_in": protocol.RECOVERY_LIFETIME,
    "interval": protocol.RECOVERY_INTERVAL, "match": "47",
}  # fmt: skip
QUESTION, COUNTER = "0748213951", 107


NEW_SIGN = signing_key(0x55)
# The X25519 key stays, so what is sealed to it already can still be opened.
POSSESSION: dict[str, Any] = {
    "old": jose.kid16(SIGN), "enc": jose.public_jwk(OPEN), "aud": AUDIENCE, "iat": NOW, "jti": "p0o9i8u7y6t5",
}  # fmt: skip


def keyroll() -> dict[str, Any]:
    """Claims of a key roll: the proof of the new key is inside."""
    proof = jose.sign(POSSESSION, protocol.TYP_POSSESSION, NEW_SIGN, embed_jwk=True)
    claims = {"iss": TID, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300, "jti": "k1l2m3n4o5p6"}
    return claims | {"proof": proof}


def unlock() -> dict[str, Any]:
    """A question, what goes into its answer, and the answer."""
    session = ocra.session_of(TID, "03")
    answer = ocra.response(jose.unb64u(OFFLINE_KEY), COUNTER, QUESTION, session)
    return {"counter": COUNTER, "question": QUESTION, "op": "03", "S": session, "answer": answer}


def unlock_receipt() -> dict[str, Any]:
    """Claims of the receipt of that unlock."""
    return {
        "iss": TID, "aud": AUDIENCE, "iat": NOW + 90, "jti": "rcp_fedcba9876543210", "sub": protocol.OFFLINE,
        "oc": COUNTER, "tok": jose.digest(QUESTION), "st": "applied", "at": NOW + 90, "hwm": 42,
    }  # fmt: skip


def receipt(token: str) -> dict[str, Any]:
    """Claims of the receipt for the command token."""
    return {
        "iss": TID, "aud": AUDIENCE, "iat": NOW + 9, "jti": RCP, "sub": JTI, "cid": CID, "seq": 42,
        "tok": jose.digest(token), "st": "applied", "at": NOW + 9, "hwm": 42,
    }  # fmt: skip


def pretty(value: Any) -> str:
    """JSON for readers."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def examples() -> dict[str, str]:
    """Every example by its name."""
    enroll = jose.sign(ENROLL, protocol.TYP_ENROLL, SIGN, embed_jwk=True)
    keyset = jose.sign(KEYSET, protocol.TYP_KEYSET, ROOT)
    bearer = jose.sign(BEARER, protocol.TYP_AUTH, SIGN)
    command = jose.sign(COMMAND, protocol.TYP_COMMAND, ISSUER)
    signed = jose.sign(receipt(command), protocol.TYP_RECEIPT, SIGN)
    answer = {"tid": TID, "keyset": keyset, "challenge": CHALLENGE}
    refusal = protocol.ProtocolError("clock_skew", server_time=NOW).problem("5f2b9c81d07e4a36")
    return {
        "keys": pretty({"root": ROOT, "issuer": ISSUER, "terminal_sign": SIGN, "terminal_open": OPEN}),
        "thumbprint": f"{jose.thumbprint(SIGN)}\nkid {jose.kid16(SIGN)}",
        "qr": f"REKEY1:{ORIGIN}|BCD-FGH-JKL|{jose.thumbprint(ROOT)}",
        "enroll-claims": pretty(ENROLL),
        "enroll": enroll,
        "enroll-answer": pretty(answer),
        "challenge": pretty({"nonce": NONCE, "offline_key": OFFLINE_KEY}),
        "confirm": pretty({"nonce": NONCE}),
        "possession-claims": pretty(POSSESSION),
        "keyroll-claims": pretty(keyroll()),
        "keyroll": jose.sign(keyroll(), protocol.TYP_KEYROLL, SIGN),
        "keyroll-answer": pretty({"state": "rolling", "until": NOW + protocol.KEYROLL_GRACE}),
        "keyset-claims": pretty(KEYSET),
        "bearer-claims": pretty(BEARER),
        "bearer": bearer,
        "skew": pretty(refusal),
        "command-claims": pretty(COMMAND | {"sealed": SEALED[:24] + "…"}),
        "command": command,
        "sealed": pretty(INNER),
        "void-claims": pretty(VOID),
        "factory-reset-claims": pretty(FACTORY_RESET),
        "poll-answer": pretty({"tokens": [command], "more": False}),
        "receipt-claims": pretty(receipt(command)),
        "inventory": pretty({"inventory": INVENTORY}),
        "receipts": pretty({"receipts": [signed]}),
        "receipts-answer": pretty({"results": [{"jti": RCP, "r": "ok"}]}),
        "recovery": pretty({"op": "03"}),
        "recovery-answer": pretty(RECOVERY),
        "recovery-state": pretty({"state": "pending"}),
        "unlock": pretty(unlock()),
        "unlock-receipt-claims": pretty(unlock_receipt()),
        "damm": "\n".join(f"{row}: {' '.join(digits)}" for row, digits in enumerate(pairing.DAMM)),
    }


def check() -> None:
    """The two sealed examples open to what they are said to hold. Raises AssertionError or JoseError."""
    assert jose.open_sealed(SEALED, OPEN, CID) == INNER
    challenge = jose.open_sealed(CHALLENGE, OPEN, TID)
    assert challenge == {"nonce": NONCE, "offline_key": OFFLINE_KEY}


def rendered(text: str) -> str:
    """The document with every example written anew. Raises KeyError for a name that does not exist."""
    known = examples()

    def block(found: re.Match[str]) -> str:
        return f"<!-- wire: {found[1]} -->\n```{found[2]}\n{known[found[1]]}\n```"

    return re.sub(r"<!-- wire: ([a-z-]+) -->\n```([a-z]*)\n.*?```", block, text, flags=re.DOTALL)


if __name__ == "__main__":
    check()
    DOCUMENT.write_text(rendered(DOCUMENT.read_text("utf-8")), "utf-8")
