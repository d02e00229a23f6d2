"""A terminal changes its keys by itself: the old one vouches for the new one (protocol §1.4).

Only the use of a new key proves that the terminal has it. So nothing but its first request puts it in force,
and a roll that nobody used in time lapses: the old key stays good for as long as no other has been used.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from portal.audit import Tag, record
from portal.limits import take
from terminals import commands, jose
from terminals.claims import KeyrollClaims, PossessionClaims, parse_keyroll, parse_possession
from terminals.life import keyring
from terminals.models import Terminal
from terminals.protocol import (
    ENROLL_LIFETIME_MAX,
    KEYROLL_GRACE,
    KEYROLL_MAX,
    PATH,
    SKEW,
    TYP_KEYROLL,
    TYP_POSSESSION,
    ProtocolError,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rolling:
    """The answer to a key roll: until when the new key can be put in force by its use (Unix seconds)."""

    state: str
    until: int


def roll(terminal: Terminal, token: bytes) -> Rolling:
    """Take the new keys, to be in force with the first request that they sign. The same again is harmless.

    Raises ProtocolError: `malformed` for what cannot be read or does not hang together, `clock_skew`,
    `key_in_use`, `quarantined` for a terminal that is not trusted, `conflict` while it is being paired anew,
    `slow_down` after 50 different keys in a day.
    """
    claims, old = _read(terminal, token)
    proof, sign_key = _prove(claims, old)
    new = jose.kid16(sign_key)
    if old == terminal.previous_sign_kid and new == terminal.sign_kid:
        return Rolling("active", int(time.time()))
    if old != terminal.sign_kid:
        raise ProtocolError("malformed", "old")
    _check_may_roll(terminal, old)
    if keyring.in_use(sign_key, proof.enc, of=terminal.pk):
        raise ProtocolError("key_in_use")
    _spend(terminal, new)
    try:
        return _accept(terminal.pk, old, proof, sign_key)
    except IntegrityError:
        raise ProtocolError("key_in_use") from None


def _read(terminal: Terminal, token: bytes) -> tuple[KeyrollClaims, str]:
    """The claims, and the `kid` of the key that signed them: the present one, or the one before."""
    keys: dict[str, jose.Jwk] = {terminal.sign_kid or "": terminal.sign_key or {}}
    if terminal.previous_sign_kid is not None:
        keys[terminal.previous_sign_kid] = terminal.previous_sign_key or {}
    try:
        unread = jose.read(token, TYP_KEYROLL, max_size=KEYROLL_MAX, algs=jose.TERMINAL_ALGS)
        if unread.kid not in keys:
            raise ProtocolError("malformed", "kid")
        claims = parse_keyroll(unread.claims(keys[unread.kid]))
    except jose.JoseError as error:
        raise ProtocolError("malformed", str(error)) from None
    if claims.iss != terminal.pk or claims.aud != settings.REKEY_ORIGIN + PATH:
        raise ProtocolError("malformed", "iss or aud")
    _check_time(claims.iat, claims.exp)
    return claims, unread.kid


def _prove(claims: KeyrollClaims, old: str) -> tuple[PossessionClaims, jose.Jwk]:
    """What the new key says of itself, signed by itself."""
    try:
        raw, sign_key = jose.verify_embedded(claims.proof, TYP_POSSESSION, KEYROLL_MAX)
        proof = parse_possession(raw)
        jose.validate_public_key(proof.enc, jose.SEAL)
    except jose.JoseError as error:
        raise ProtocolError("malformed", f"proof: {error}") from None
    if proof.old != old or proof.aud != claims.aud:
        raise ProtocolError("malformed", "proof: old or aud")
    _check_time(proof.iat, proof.iat + ENROLL_LIFETIME_MAX)
    return proof, sign_key


def _check_time(begin: int, end: int) -> None:
    now = time.time()
    if begin > now + SKEW or end < now - SKEW:
        raise ProtocolError("clock_skew", server_time=int(now))


def _check_may_roll(terminal: Terminal, old: str) -> None:
    """Refusals that pass: the terminal keeps its new keys and asks again. They cost it nothing of its 50."""
    if terminal.state != Terminal.State.ACTIVE or terminal.tampered_at is not None:
        raise ProtocolError("quarantined")
    if terminal.sign_kid != old:
        raise ProtocolError("invalid_auth")  # it was overtaken by a pairing, or by itself
    if terminal.pending_sign_kid is not None and terminal.pending_until is None:
        raise ProtocolError("conflict", "it is being paired anew")


def _spend(terminal: Terminal, new: str) -> None:
    """Firmware that rolls in a loop is slowed down; asking again for the same key costs nothing."""
    taken = None if new == terminal.pending_sign_kid else take("key-rolls-per-terminal", terminal.pk)
    if taken is not None and not taken.ok:
        raise ProtocolError("slow_down", retry_after=taken.resets_in)


def _accept(terminal_id: str, old: str, proof: PossessionClaims, sign_key: jose.Jwk) -> Rolling:
    new, now = jose.kid16(sign_key), timezone.now()
    with transaction.atomic():
        terminal = Terminal.objects.select_for_update().get(pk=terminal_id)
        _check_may_roll(terminal, old)
        same = new == terminal.pending_sign_kid and terminal.pending_enc_key == jose.public_jwk(proof.enc)
        until = terminal.pending_until if same else None
        if until is None or until <= now:
            until = now + timedelta(seconds=KEYROLL_GRACE)
            terminal.pending_sign_key, terminal.pending_sign_kid = dict(sign_key), new
            terminal.pending_enc_key, terminal.pending_until = jose.public_jwk(proof.enc), until
            terminal.save()
            record(Tag.KEY_ROLLED, actor=terminal.id, merchant=terminal.store.merchant, subject=terminal.id)
            transaction.on_commit(partial(keyring.forget_bearers, terminal.id))
    return Rolling("rolling", int(until.timestamp()))


def take_over(terminal_id: str, kid: str) -> bool:
    """The new key has signed its first request: the old one is over. Whether this key is in force now."""
    with transaction.atomic():
        terminal = Terminal.objects.select_for_update().get(pk=terminal_id)
        until = terminal.pending_until
        if terminal.pending_sign_kid != kid or until is None or until <= timezone.now():
            return terminal.sign_kid == kid
        keyring.put_in_force(terminal, rolled=True)
        record(Tag.KEY_IN_FORCE, actor=terminal.id, merchant=terminal.store.merchant, subject=terminal.id)
        # First, so that what is signed anew below is not swept out again.
        transaction.on_commit(partial(keyring.forget, terminal_id))
        commands.key_changed(terminal)
    return True


def lapse_due(now: datetime) -> int:
    """Forget new keys that nobody used in time; how many. The terminal may have given them up long ago."""
    due = Terminal.objects.filter(pending_sign_kid__gt="", pending_until__lte=now)
    return sum(_lapse(pk, now) for pk in due.values_list("pk", flat=True)[:500])


def _lapse(terminal_id: str, now: datetime) -> bool:
    with transaction.atomic():
        still = Terminal.objects.filter(pk=terminal_id, pending_until__lte=now)
        if still.update(**keyring.NOTHING_PENDING) != 1:
            return False
        transaction.on_commit(partial(keyring.forget_bearers, terminal_id))
    log.info("key_roll_lapsed", terminal=terminal_id)
    return True
