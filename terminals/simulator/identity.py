"""Who this terminal is to the server: paired, paired again, or under new keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from terminals import jose
from terminals.claims import parse_challenge, parse_keyset
from terminals.protocol import ENROLL_LIFETIME_MAX, PATH, TYP_KEYSET, ProtocolError, is_id, new_id
from terminals.simulator.checks import SUPPORTED
from terminals.simulator.outbox import Outbox
from terminals.simulator.state import Jwk, Pairing, Profile, State
from terminals.simulator.transport import Answer


class EnrollmentFailed(Exception):
    """The server's answer to an enrollment cannot be trusted or read."""


def enroll_claims(origin: str, code: str, enc: Jwk, profile: Profile, now: int) -> dict[str, Any]:
    """What a machine that wants to be paired says of itself."""
    return {
        "aud": origin + PATH,
        "iat": now,
        "exp": now + ENROLL_LIFETIME_MAX,
        "jti": new_id("tok"),
        "code": code,
        "enc": enc,
        "cap": {"keypad": profile.keypad, "cmds": list(SUPPORTED)},
        "hw": {"vendor": profile.vendor, "model": profile.model, "serial": profile.serial},
        "fw": profile.fw,
    }


def read_enrollment(answer: Answer, origin: str, keys: tuple[Jwk, Jwk], root: str | None) -> Pairing:
    """What to remember of an enrollment; every part is verified first."""
    tid, token, challenge = (answer.body.get(name) for name in ("tid", "keyset", "challenge"))
    if not is_id(tid, "trm") or not isinstance(token, str) or not isinstance(challenge, str):
        raise EnrollmentFailed("incomplete answer")
    try:
        claims, signer = jose.verify_self_vouched(token, TYP_KEYSET, "roots")
        keyset = parse_keyset(claims)
        opened = parse_challenge(jose.open_sealed(challenge, keys[1], str(tid)))
    except (jose.JoseError, ProtocolError) as error:
        raise EnrollmentFailed(str(error)) from None
    if keyset.iss != origin or (root is not None and jose.thumbprint(signer) != root):
        raise EnrollmentFailed("the keyset is not of the server this code is for")
    roots = [jose.public_jwk(jwk) for jwk in keyset.roots]
    sign_key, open_key = keys
    return Pairing(
        origin, str(tid), sign_key, open_key, opened.nonce, opened.offline_key, roots, asdict(keyset)
    )


def become(state: State, pairing: Pairing, outbox: Outbox) -> None:
    """The server has confirmed the new identity: the old one is gone, and numbers start again.

    What was reported under the old key but not taken yet is said again, if this is still the same terminal.
    """
    same, old_key = state.tid == pairing.tid, state.sign_key
    for name, value in vars(pairing).items():
        if name != "nonce":
            setattr(state, name, value)
    state.status, state.pairing, state.rolling, state.roll_wanted = "active", None, None, ""
    state.revoked = list(pairing.keyset["revoked"])
    state.time_floor = max(state.time_floor, pairing.keyset["iat"])
    state.asking = state.challenge = None
    state.offline_counter, state.challenges = 0, []
    state.hwm, state.waits, state.trouble = 0, {}, ""
    if same:
        outbox.sign_anew(state, old_key)
    else:
        state.done, state.outbox, state.restart, state.wipe = [], [], None, None


def roll_over(state: State, outbox: Outbox) -> None:
    """The server knows the new key: the old one is gone, and numbers start again under the new one."""
    rolling, old_key = state.rolling, state.sign_key
    if rolling is None:
        return
    state.sign_key, state.open_key = rolling.sign_key, rolling.open_key
    state.rolling, state.hwm = None, 0
    outbox.sign_anew(state, old_key)
