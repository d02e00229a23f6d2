"""Pairing a unit with a terminal record, and proving both of its keys (protocol §1)."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from portal.audit import Tag, record
from portal.limits import shield, take
from portal.secrets import keyed_digest, pepper
from terminals import commands, inbox, issuer, jose, pairing
from terminals.claims import EnrollClaims, parse_enroll
from terminals.models import IssuerKey, PairingCode, Terminal
from terminals.protocol import (
    ENROLL_MAX,
    PAIRING_LIFETIME,
    PATH,
    SKEW,
    TYP_ENROLL,
    ProtocolError,
)

log = structlog.get_logger(__name__)
WRONG_SECRETS = 5
DRAWS = 20
CLOSED = (Terminal.State.QUARANTINED, Terminal.State.REVOKED)


class NotPairable(Exception):
    """A quarantined or revoked terminal gets no pairing code."""


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A fresh pairing code, shown once: two typed forms and the text of the QR."""

    id: int
    code: str
    digits: str
    expires_at: datetime
    qr_text: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The answer to an enrollment: the terminal's id, the keyset, and the challenge to its second key."""

    tid: str
    keyset: str
    challenge: str


def create_pairing_code(terminal: Terminal, by: str) -> IssuedCode:
    """A new code for the terminal; older ones stop working. Raises NotPairable, issuer.NoKeyset."""
    if terminal.state in CLOSED:
        raise NotPairable(terminal.state)
    root = issuer.current_keyset().root_thumbprint
    now = timezone.now()
    with transaction.atomic():
        revoke_pairing_codes(terminal)
        new = _draw_free(now)
        row = PairingCode.objects.create(
            terminal=terminal,
            selector=new.letters.selector,
            digest=pairing.digest(new.letters.secret, pepper(), new.letters.selector),
            digits_selector=new.digits.selector,
            digits_digest=pairing.digest(new.digits.secret, pepper(), new.digits.selector),
            created_by=by,
            expires_at=now + timedelta(seconds=PAIRING_LIFETIME),
        )
        record(Tag.PAIRING_ISSUED, actor=by, merchant=terminal.store.merchant, subject=terminal.id)
    shown = new.letters.shown()
    qr = pairing.QrText(settings.REKEY_ORIGIN, shown, root)
    return IssuedCode(row.pk, shown, new.digits.shown(), row.expires_at, str(qr))


def _draw_free(now: datetime) -> pairing.NewCode:
    """A code whose selectors no living code uses, so that a selector names at most one of them."""
    for _ in range(DRAWS):
        new = pairing.generate()
        taken = Q(selector=new.letters.selector) | Q(digits_selector=new.digits.selector)
        if not alive(now).filter(taken).exists():
            return new
    raise RuntimeError("too many pairing codes are alive at once")


def alive(now: datetime) -> QuerySet[PairingCode]:
    """Codes that can still pair a terminal."""
    return PairingCode.objects.filter(
        used_at__isnull=True, revoked_at__isnull=True, expires_at__gt=now, failures__lt=WRONG_SECRETS
    )


def revoke_pairing_codes(terminal: Terminal) -> int:
    """Stop every living code of the terminal; how many there were."""
    now = timezone.now()
    return alive(now).filter(terminal=terminal).update(revoked_at=now)


def enroll(token: bytes, address_block: str) -> Enrolled:
    """Take a unit's keys in exchange for a pairing code.

    Raises ProtocolError: `malformed` for an unreadable request or unsound keys, `clock_skew`, `slow_down`,
    `key_in_use`, and one and the same `pairing_failed` whatever is wrong with the code.
    """
    claims, sign_key = _read(token)
    if not shield("pairing", address_block).ok or not take("pairing-overall", "all").ok:
        raise ProtocolError("slow_down", retry_after=300)
    code = _match(claims.code)
    if _is_registered(sign_key, claims.enc):
        raise ProtocolError("key_in_use")
    try:
        return _accept(code, claims, sign_key)
    except IntegrityError:
        raise ProtocolError("key_in_use") from None


def _read(token: bytes) -> tuple[EnrollClaims, jose.Jwk]:
    try:
        raw, sign_key = jose.verify_embedded(token, TYP_ENROLL, ENROLL_MAX)
        claims = parse_enroll(raw)
        jose.validate_public_key(claims.enc, jose.SEAL)
    except jose.JoseError as error:
        raise ProtocolError("malformed", str(error)) from None
    now = time.time()
    if claims.aud != settings.REKEY_ORIGIN + PATH:
        raise ProtocolError("malformed", "aud")
    if claims.iat > now + SKEW or claims.exp < now - SKEW:
        raise ProtocolError("clock_skew", server_time=int(now))
    return claims, sign_key


def _match(typed: str) -> PairingCode:
    """The code that was meant. An attempt is spent before anything is compared (design D7)."""
    parsed = pairing.normalise(typed) or pairing.ParsedCode("---", "")
    now = timezone.now()
    field = "digits_selector" if parsed.is_digits else "selector"
    row = alive(now).filter(**{field: parsed.selector}).first()
    spent = row is not None and alive(now).filter(pk=row.pk).update(failures=F("failures") + 1) == 1
    given = pairing.digest(parsed.secret, pepper(), parsed.selector)
    kept = (row.digits_digest if parsed.is_digits else row.digest) if row else ""
    if row is None or not spent or not secrets.compare_digest(given, kept):
        _note_burned(row)
        raise ProtocolError("pairing_failed")
    return row


def _note_burned(row: PairingCode | None) -> None:
    if row is not None and PairingCode.objects.filter(pk=row.pk, failures=WRONG_SECRETS).exists():
        merchant = row.terminal.store.merchant
        record(Tag.PAIRING_BURNED, actor="terminal", merchant=merchant, subject=row.terminal_id)


def _is_registered(sign_key: jose.Jwk, enc_key: jose.Jwk) -> bool:
    sign, enc = jose.kid16(sign_key), jose.kid16(enc_key)
    known = Q(sign_kid=sign) | Q(pending_sign_kid=sign) | Q(enc_kid=enc)
    return Terminal.objects.filter(known).exists() or IssuerKey.objects.filter(kid=sign).exists()


def _accept(code: PairingCode, claims: EnrollClaims, sign_key: jose.Jwk) -> Enrolled:
    nonce, offline = jose.b64u(secrets.token_bytes(16)), jose.b64u(secrets.token_bytes(32))
    with transaction.atomic():
        used = PairingCode.objects.filter(pk=code.pk, used_at__isnull=True, revoked_at__isnull=True)
        if used.update(used_at=timezone.now()) != 1:
            raise ProtocolError("pairing_failed")
        terminal = Terminal.objects.select_for_update().get(pk=code.terminal_id)
        if terminal.state in CLOSED:
            raise ProtocolError("pairing_failed")
        if terminal.state == Terminal.State.NEW:
            terminal.state = Terminal.State.UNCONFIRMED
        terminal.pending_sign_key, terminal.pending_sign_kid = dict(sign_key), jose.kid16(sign_key)
        terminal.pending_enc_key = jose.public_jwk(claims.enc)
        terminal.pending_nonce_digest = keyed_digest("enroll-nonce", terminal.id, nonce)
        terminal.pending_offline_key = offline
        terminal.capabilities = {
            "keypad": claims.keypad,
            "cmds": list(claims.cmds),
            "hw": {"vendor": claims.vendor, "model": claims.model, "serial": claims.serial},
        }
        terminal.firmware = claims.fw
        terminal.save()
    challenge = jose.seal({"nonce": nonce, "offline_key": offline}, claims.enc, terminal.id)
    return Enrolled(terminal.id, issuer.current_keyset().token, challenge)


def confirm(terminal_id: str, nonce: str) -> None:
    """The nonce came back, so the second key is proved: the new keys take over. Safe to repeat.

    Raises ProtocolError `conflict` for a nonce that is not the one sealed to the pending key.
    """
    with transaction.atomic():
        terminal = Terminal.objects.select_for_update().get(pk=terminal_id)
        if terminal.state in CLOSED:
            raise ProtocolError("conflict", "stopped meanwhile")
        expected = terminal.pending_nonce_digest
        if not expected or not secrets.compare_digest(
            expected, keyed_digest("enroll-nonce", terminal_id, nonce)
        ):
            raise ProtocolError("conflict")
        if terminal.pending_sign_kid is None:
            return  # the first answer got lost; everything is in place
        _take_over(terminal)
        record(Tag.PAIRED, actor=terminal.id, merchant=terminal.store.merchant, subject=terminal.id)
        commands.key_changed(terminal)
    forget_bearers(terminal_id)


def _take_over(terminal: Terminal) -> None:
    enc_key = terminal.pending_enc_key or {}
    terminal.sign_key, terminal.sign_kid = terminal.pending_sign_key, terminal.pending_sign_kid
    terminal.enc_key, terminal.enc_kid = enc_key, jose.kid16(enc_key)
    terminal.offline_key = terminal.pending_offline_key
    terminal.pending_sign_key = terminal.pending_sign_kid = terminal.pending_enc_key = None
    terminal.pending_offline_key = ""
    terminal.state = Terminal.State.ACTIVE
    terminal.last_seq = 0
    terminal.activated_at = timezone.now()
    terminal.save()


def forget_bearers(terminal_id: str) -> None:
    """Have every poll process look at the terminal's keys and state again."""
    try:
        inbox.clear(terminal_id)
        inbox.evict(terminal_id)
    except inbox.InboxUnavailable:
        log.warning("inbox_away", terminal=terminal_id)


def stop(terminal: Terminal, by: str) -> bool:
    """Quarantine a terminal that was lost or stolen; whether this call did. It is served nothing any more."""
    living = Terminal.objects.filter(pk=terminal.pk).exclude(state__in=CLOSED)
    with transaction.atomic():
        if living.update(state=Terminal.State.QUARANTINED) != 1:
            return False
        revoke_pairing_codes(terminal)
        commands.end_all(terminal, "quarantined")
        record(Tag.TERMINAL_STOPPED, actor=by, merchant=terminal.store.merchant, subject=terminal.id)
    forget_bearers(terminal.pk)
    return True
