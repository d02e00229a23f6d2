"""Signed receipts: verified, matched to a token we issued, and turned into a move of the command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from portal.audit import Tag, record
from terminals import commands, jose, offline, sequence
from terminals.alerts import raise_alert
from terminals.claims import ReceiptClaims, parse_receipt
from terminals.keys import signer
from terminals.models import Command, CommandToken, Receipt, Terminal, TerminalAlert
from terminals.protocol import (
    APPLIED,
    CONFLICT,
    DEFERRED,
    DUPLICATE,
    INVALID,
    LATE,
    OFFLINE,
    OK,
    PATH,
    RC_UNREAD,
    RECEIPT_MAX,
    REJECTED,
    TYP_COMMAND,
    TYP_RECEIPT,
    UNKNOWN,
    ProtocolError,
)


@dataclass(frozen=True, slots=True)
class Result:
    """What we made of one receipt; `jti` is empty when it could not be read."""

    jti: str
    r: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A receipt whose signature stands: who said it, under which of its keys, in which bytes."""

    terminal: Terminal
    claims: ReceiptClaims
    kid: str
    digest: str


def accept(terminal: Terminal, items: Iterable[str]) -> list[Result]:
    """Judge each receipt on its own, in order; a bad one never blocks the others."""
    return [_judge(terminal, item) for item in items]


def _judge(terminal: Terminal, item: str) -> Result:
    try:
        kid = jose.read(item, TYP_RECEIPT, max_size=RECEIPT_MAX, algs=jose.TERMINAL_ALGS).kid
        verified = jose.verify(item, TYP_RECEIPT, _keys(terminal), RECEIPT_MAX, jose.TERMINAL_ALGS)
        claims = parse_receipt(verified)
    except (jose.JoseError, ProtocolError):
        return Result("", INVALID)
    if claims.iss != terminal.id or claims.aud != settings.REKEY_ORIGIN + PATH:
        return Result(claims.jti, INVALID)
    if claims.sub == OFFLINE:
        return Result(claims.jti, offline.receipt(terminal, claims))
    return Result(claims.jti, _take(Statement(terminal, claims, kid, jose.digest(item))))


def _keys(terminal: Terminal) -> dict[str, jose.Jwk]:
    """The keys whose word counts: the present one, and around a key roll the next and the one before."""
    named = (
        (terminal.sign_kid, terminal.sign_key),
        (terminal.previous_sign_kid, terminal.previous_sign_key),
        (terminal.pending_until and terminal.pending_sign_kid, terminal.pending_sign_key),
    )
    return {str(kid): key for kid, key in named if kid and key}


def _take(said: Statement) -> str:
    known = Receipt.objects.filter(pk=said.claims.jti).first()
    if known is not None:
        return _again(said, known)
    token = _token_of(said)
    told = sequence.catch_up(said.terminal, said.kid, said.claims, token)
    if token is None:
        return _unknown(said)
    try:
        with transaction.atomic():
            receipt = Receipt.objects.create(
                jti=said.claims.jti,
                terminal=said.terminal,
                command=token.command,
                digest=said.digest,
                status=said.claims.st,
                reason=said.claims.rc or "",
                at=_moment(said.claims.at),
                hwm=said.claims.hwm,
                result=OK,
            )
            receipt.result = _act(said, token, told=told)
            receipt.save(update_fields=["result"])
    except IntegrityError:
        return _again(said, Receipt.objects.get(pk=said.claims.jti))
    if receipt.result == CONFLICT:
        _contradiction(said, token.command)
    if receipt.result == LATE:
        _forget_dead(token.command)
    return receipt.result


def _again(said: Statement, known: Receipt) -> str:
    if known.digest != said.digest or known.terminal_id != said.terminal.id:
        _contradiction(said, known.command)
        return CONFLICT
    _forget_dead(known.command)
    return DUPLICATE


def _contradiction(said: Statement, command: Command) -> None:
    terminal, jti = said.terminal, said.claims.jti
    merchant = terminal.store.merchant
    record(Tag.RECEIPT_CONFLICT, actor=terminal.id, merchant=merchant, subject=command.id, receipt=jti)
    about = command if command.terminal_id == terminal.id else None
    facts = {"receipt": jti, "says": said.claims.st, "known": command.state}
    raise_alert(TerminalAlert.Kind.RECEIPT_CONFLICT, terminal, command=about, **facts)


def _unknown(said: Statement) -> str:
    """No token of ours. If the terminal found our signature on it, somebody else has our key, or we have
    lost what we issued (a restored database).
    """
    claims = said.claims
    if claims.st != REJECTED or claims.rc not in RC_UNREAD:
        raise_alert(
            TerminalAlert.Kind.UNKNOWN_RECEIPT,
            said.terminal,
            subject=claims.cid or "",
            receipt=claims.jti,
            says=claims.st,
            seq=claims.seq,
        )
    return UNKNOWN


def _forget_dead(command: Command) -> None:
    """The terminal met a token that is done with, so it may still lie in the inbox: take out all such."""
    dead = command.tokens.values_list("jti", flat=True)
    if command.state not in commands.FINAL:
        dead = dead.exclude(jti=command.jti)
    commands.forget(command.terminal_id, dead)


def _token_of(said: Statement) -> CommandToken | None:
    """The token it is about, issued under whichever key of the terminal."""
    claims = said.claims
    tokens = CommandToken.objects.select_related("command").filter(
        command__terminal=said.terminal, digest=claims.tok
    )
    if claims.sub is not None and claims.cid is not None and claims.seq is not None:
        tokens = tokens.filter(jti=claims.sub, command_id=claims.cid, seq=claims.seq)
    return tokens.first()


def _act(said: Statement, token: CommandToken, *, told: bool) -> str:
    command, claims = token.command, said.claims
    # The terminal's clock may be off; what it did it did after the command was issued, and before now.
    at = min(max(_moment(claims.at), command.created_at), timezone.now())
    if claims.st == APPLIED:
        return commands.applied(command, at)
    if claims.st == DEFERRED:
        if token.jti == command.jti:
            commands.deferred(command, timezone.now() + timedelta(seconds=claims.retry or 0))
        return OK
    if claims.st == REJECTED:
        return _refused(said, token, told=told)
    return commands.signed_on(command, at)


def _refused(said: Statement, token: CommandToken, *, told: bool) -> str:
    command, claims = token.command, said.claims
    if token.jti != command.jti:
        return LATE  # a token that was replaced since; the present one decides
    if claims.rc == "seq_replayed" and claims.hwm >= token.seq:
        if command.state == Command.State.CANCELLING:
            return OK  # overtaken by its void, whose answer follows
        if _sign_anew(command):
            if not told:
                sequence.explain(said.terminal, claims)
            return OK
    if claims.rc in RC_UNREAD and _was_replaced(command) and _sign_anew(command):
        return OK
    return commands.rejected(command, claims.rc or "", claims.hwm)


def _was_replaced(command: Command) -> bool:
    """Whether we would sign by another issuer key today: the one of this token was revoked, or is old."""
    try:
        present = signer.ring().choose(command.kind, command.terminal_id).kid
        return jose.read(command.token, TYP_COMMAND).kid != present
    except (signer.NoSigningKey, jose.JoseError):
        return False


def _sign_anew(command: Command) -> bool:
    """Issue an open command again, unless that has been tried often enough."""
    offered = command.state in (Command.State.QUEUED, Command.State.FETCHED)
    return offered and command.attempt < commands.ATTEMPTS_MAX and commands.reissue(command)


def _moment(unix: int) -> datetime:
    """A terminal's time as a datetime, held within what a database can store."""
    return datetime.fromtimestamp(min(unix, 4_102_444_800), UTC)
