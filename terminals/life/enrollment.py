"""Pairing a unit with a terminal record, and proving both of its keys (protocol §1)."""

from __future__ import annotations

import secrets
import time
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from portal.audit import Tag, record
from portal.limits import give_back, shield, shielded, take
from portal.secrets import keyed_digest
from terminals import alerts, commands, jose, requests
from terminals.claims import EnrollClaims, parse_enroll
from terminals.keys import issuer
from terminals.life import keyring, pairing_codes, swap
from terminals.models import PairingCode, Terminal, TerminalAlert
from terminals.protocol import ENROLL_MAX, PATH, SKEW, TYP_ENROLL, ProtocolError

# A unit that took a code and never proved its second key is forgotten after this.
CONFIRM_WITHIN = timedelta(hours=24)
SLOW_DOWN_S = 300


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The answer to an enrollment: the terminal's id, the keyset, and the challenge to its second key."""

    tid: str
    keyset: str
    challenge: str


def enroll(token: bytes, address_block: str) -> Enrolled:
    """Take a unit's keys in exchange for a pairing code.

    Raises ProtocolError: `malformed` for an unreadable request or unsound keys, `clock_skew`, `slow_down`,
    `key_in_use`, and one and the same `pairing_failed` whatever is wrong with the code.
    """
    claims, sign_key = _read(token)
    code = _match(claims.code, address_block)
    if keyring.in_use(sign_key, claims.enc):
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


def _match(typed: str, address_block: str) -> PairingCode:
    """The code that was meant, under limits on failures: a hundred tills of a shop may be paired at once."""
    if shielded("pairing", address_block) or not take("pairing-overall", "all").ok:
        raise ProtocolError("slow_down", retry_after=SLOW_DOWN_S)
    try:
        code = pairing_codes.match(typed)
    except ProtocolError:
        shield("pairing", address_block)
        raise
    give_back("pairing-overall", "all")
    return code


def _accept(code: PairingCode, claims: EnrollClaims, sign_key: jose.Jwk) -> Enrolled:
    nonce, offline = jose.b64u(secrets.token_bytes(16)), jose.b64u(secrets.token_bytes(32))
    with transaction.atomic():
        if not pairing_codes.use(code):
            raise ProtocolError("pairing_failed")
        terminal = Terminal.objects.select_for_update().get(pk=code.terminal_id)
        if terminal.state in pairing_codes.CLOSED:
            raise ProtocolError("pairing_failed")
        if terminal.state == Terminal.State.NEW:
            terminal.state = Terminal.State.UNCONFIRMED
        terminal.pending_sign_key, terminal.pending_sign_kid = dict(sign_key), jose.kid16(sign_key)
        terminal.pending_enc_key, terminal.pending_until = jose.public_jwk(claims.enc), None
        terminal.pending_nonce_digest = keyed_digest("enroll-nonce", terminal.id, nonce)
        terminal.pending_offline_key = offline
        terminal.pending_facts = _facts(claims)
        terminal.save()
        transaction.on_commit(partial(keyring.forget_bearers, terminal.id))
    challenge = jose.seal({"nonce": nonce, "offline_key": offline}, claims.enc, terminal.id)
    return Enrolled(terminal.id, issuer.current_keyset().token, challenge)


def _facts(claims: EnrollClaims) -> dict[str, object]:
    hardware = {"vendor": claims.vendor, "model": claims.model, "serial": claims.serial}
    told = {"keypad": claims.keypad, "cmds": list(claims.cmds), "hw": hardware}
    return {"capabilities": told, "firmware": claims.fw}


def confirm(terminal_id: str, nonce: str) -> None:
    """The nonce came back, so the second key is proved: the new keys take over. Safe to repeat.

    Raises ProtocolError `conflict` for a nonce that is not the one sealed to the pending key.
    """
    with transaction.atomic():
        terminal = Terminal.objects.select_for_update().get(pk=terminal_id)
        if terminal.state in pairing_codes.CLOSED:
            raise ProtocolError("conflict", "stopped meanwhile")
        expected = terminal.pending_nonce_digest
        if not expected or not secrets.compare_digest(
            expected, keyed_digest("enroll-nonce", terminal_id, nonce)
        ):
            raise ProtocolError("conflict")
        if terminal.pending_sign_kid is None or terminal.pending_until is not None:
            return  # the first answer got lost; everything is in place
        keyring.put_in_force(terminal, rolled=False)
        record(Tag.PAIRED, actor=terminal.id, merchant=terminal.store.merchant, subject=terminal.id)
        requests.end_open(terminal)
        # First, so that what is signed anew below is not swept out again.
        transaction.on_commit(partial(keyring.forget, terminal_id))
        commands.key_changed(terminal)
        _compare_serial(terminal)
        swap.ask_to_choose(terminal)


def _compare_serial(terminal: Terminal) -> None:
    """A wrong sticker, or a wrong line of a printed sheet: a person has to look at it."""
    told = str(terminal.capabilities.get("hw", {}).get("serial", ""))
    plain = "".join(unicodedata.normalize("NFKC", told).split()).upper()
    if plain != terminal.serial:
        kind = TerminalAlert.Kind.SERIAL_DIFFERS
        alerts.raise_alert(kind, terminal, reported=told, on_record=terminal.serial)
        return
    for alert in differing_serials(terminal):
        alerts.clear(alert, by="server", reason="paired again with the serial on record")


def differing_serials(terminal: Terminal) -> list[TerminalAlert]:
    """The open alert that says so, if there is one."""
    kind = TerminalAlert.Kind.SERIAL_DIFFERS
    return list(TerminalAlert.objects.filter(terminal=terminal, kind=kind, cleared_at__isnull=True))


def expire_due(now: datetime) -> int:
    """Forget units that never proved their second key; how many. Such a unit has to be paired anew."""
    lately = PairingCode.objects.filter(terminal=OuterRef("pk"), used_at__gt=now - CONFIRM_WITHIN)
    # Not empty rather than not null: that way an index finds the few.
    waiting = Terminal.objects.filter(pending_sign_kid__gt="", pending_until__isnull=True)
    return sum(
        _forget_pending(pk) for pk in waiting.exclude(Exists(lately)).values_list("pk", flat=True)[:500]
    )


def _forget_pending(terminal_id: str) -> bool:
    waiting = Terminal.objects.filter(
        pk=terminal_id, pending_sign_kid__isnull=False, pending_until__isnull=True
    )
    with transaction.atomic():
        if waiting.update(**keyring.NOTHING_PENDING) != 1:
            return False
        unpaired = Terminal.objects.filter(pk=terminal_id, state=Terminal.State.UNCONFIRMED)
        unpaired.update(state=Terminal.State.NEW)
        transaction.on_commit(partial(keyring.forget_bearers, terminal_id))
    return True
