"""Signed receipts: verified, matched to a token we issued, and turned into a move of the command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Greatest
from django.utils import timezone

from portal.audit import Tag, record
from terminals import commands, jose
from terminals.claims import ReceiptClaims, parse_receipt
from terminals.models import Command, CommandToken, Receipt, Terminal
from terminals.protocol import (
    APPLIED,
    CONFLICT,
    DEFERRED,
    DUPLICATE,
    INVALID,
    LATE,
    OK,
    PATH,
    RECEIPT_MAX,
    REJECTED,
    TYP_RECEIPT,
    UNKNOWN,
    ProtocolError,
)


@dataclass(frozen=True, slots=True)
class Result:
    """What we made of one receipt; `jti` is empty when it could not be read."""

    jti: str
    r: str


def accept(terminal: Terminal, items: Iterable[str]) -> list[Result]:
    """Judge each receipt on its own, in order; a bad one never blocks the others."""
    return [_judge(terminal, item) for item in items]


def _judge(terminal: Terminal, item: str) -> Result:
    try:
        keys = {terminal.sign_kid or "": terminal.sign_key or {}}
        claims = parse_receipt(jose.verify(item, TYP_RECEIPT, keys, RECEIPT_MAX, jose.TERMINAL_ALGS))
    except (jose.JoseError, ProtocolError):
        return Result("", INVALID)
    if claims.iss != terminal.id or claims.aud != settings.REKEY_ORIGIN + PATH:
        return Result(claims.jti, INVALID)
    return Result(claims.jti, _take(terminal, claims, jose.digest(item)))


def _take(terminal: Terminal, claims: ReceiptClaims, digest: str) -> str:
    known = Receipt.objects.filter(pk=claims.jti).first()
    if known is not None:
        return _again(terminal, known, digest)
    token = _token_of(terminal, claims)
    if token is None:
        return UNKNOWN
    try:
        with transaction.atomic():
            receipt = Receipt.objects.create(
                jti=claims.jti,
                terminal=terminal,
                command=token.command,
                digest=digest,
                status=claims.st,
                reason=claims.rc or "",
                at=_moment(claims.at),
                hwm=claims.hwm,
                result=OK,
            )
            receipt.result = _act(terminal, token, claims)
            receipt.save(update_fields=["result"])
    except IntegrityError:
        return _again(terminal, Receipt.objects.get(pk=claims.jti), digest)
    if receipt.result == CONFLICT:
        _contradiction(terminal, token.command_id, claims.jti)
    if receipt.result == LATE:
        _forget_dead(token.command)
    return receipt.result


def _again(terminal: Terminal, known: Receipt, digest: str) -> str:
    if known.digest != digest or known.terminal_id != terminal.id:
        _contradiction(terminal, known.command_id, known.jti)
        return CONFLICT
    _forget_dead(known.command)
    return DUPLICATE


def _contradiction(terminal: Terminal, command_id: str, jti: str) -> None:
    merchant = terminal.store.merchant
    record(Tag.RECEIPT_CONFLICT, actor=terminal.id, merchant=merchant, subject=command_id, receipt=jti)


def _forget_dead(command: Command) -> None:
    """The terminal met a token that is done with, so it may still lie in the inbox: take out all such."""
    dead = command.tokens.values_list("jti", flat=True)
    if command.state not in commands.FINAL:
        dead = dead.exclude(jti=command.jti)
    commands.forget(command.terminal_id, dead)


def _token_of(terminal: Terminal, claims: ReceiptClaims) -> CommandToken | None:
    tokens = CommandToken.objects.select_related("command").filter(
        command__terminal=terminal, digest=claims.tok
    )
    if claims.sub is not None and claims.cid is not None and claims.seq is not None:
        tokens = tokens.filter(jti=claims.sub, command_id=claims.cid, seq=claims.seq)
    return tokens.first()


def _act(terminal: Terminal, token: CommandToken, claims: ReceiptClaims) -> str:
    command = token.command
    # The terminal's clock may be off; what it did it did after the command was issued, and before now.
    at = min(max(_moment(claims.at), command.created_at), timezone.now())
    if claims.st == APPLIED:
        return commands.applied(command, at)
    if claims.st == DEFERRED:
        commands.deferred(command, timezone.now() + timedelta(seconds=claims.retry or 0))
        return OK
    if claims.st == REJECTED:
        return _refused(terminal, token, claims)
    commands.signed_on(command, at)
    return OK


def _refused(terminal: Terminal, token: CommandToken, claims: ReceiptClaims) -> str:
    command = token.command
    if token.jti != command.jti:
        return LATE  # a token that was replaced since; the present one decides
    if claims.rc == "seq_replayed" and claims.hwm >= token.seq and command.state in commands.OPEN:
        _jump(terminal, command, claims.hwm)
        return OK
    return commands.rejected(command, claims.rc or "")


def _jump(terminal: Terminal, command: Command, hwm: int) -> None:
    """The terminal has seen higher numbers than we remember: a restored database. Go on above them."""
    Terminal.objects.filter(pk=terminal.pk).update(last_seq=Greatest("last_seq", hwm))
    record(Tag.SEQ_REPLAYED, actor=terminal.id, merchant=terminal.store.merchant, subject=command.id, hwm=hwm)
    commands.reissue(command)


def _moment(unix: int) -> datetime:
    """A terminal's time as a datetime, held within what a database can store."""
    return datetime.fromtimestamp(min(unix, 4_102_444_800), UTC)
