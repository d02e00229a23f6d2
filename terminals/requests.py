"""Recoveries started at a terminal: a code and a match number on its screen (protocol §8).

Whoever types the match number stands before the screen. That is evidence, never authority on its own.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from portal.audit import Tag, record
from portal.codes import equal
from portal.limits import TooMany, spend
from portal.models import Merchant
from portal.secrets import keyed_digest
from terminals import inbox
from terminals.models import Command, Operator, RecoveryRequest, Terminal
from terminals.pairing import ALPHABET, tidy
from terminals.protocol import MATCH_TRIES, RECOVERY_LIFETIME, ProtocolError

log = structlog.get_logger(__name__)
State = RecoveryRequest.State
OPEN: Final = (State.PENDING, State.BOUND, State.PROVED)
USER_CODE_SYMBOLS: Final = 8
# A proved one waits for its command as long as the journey it belongs to may take.
PROVED_LIFE: Final = timedelta(hours=1)

_TYPED_MAX: Final = 64
_USER_CODE: Final = re.compile(rf"[{ALPHABET}]{{{USER_CODE_SYMBOLS}}}")
# How a wire state is called when it is none of the open ones.
_ENDED: Final = frozenset({State.DENIED, State.DONE, State.EXPIRED})


@dataclass(frozen=True, slots=True)
class Shown:
    """What the terminal puts on its screen; the server keeps only digests of the code and the number."""

    rid: str
    user_code: str
    match: str

    @property
    def page(self) -> str:
        """Where a person types the code."""
        return f"{settings.REKEY_ORIGIN}/t"

    @property
    def qr_page(self) -> str:
        """Where the QR leads: the code is in it, the match number is not."""
        return f"{self.page}/{self.user_code.replace('-', '')}"


@dataclass(frozen=True, slots=True)
class Matched:
    """What became of a typed match number; without tries left the request is burned."""

    ok: bool
    tries_left: int


def read_user_code(typed: str) -> str | None:
    """The eight symbols that somebody typed; case and separators are forgiven. None if it is no such code."""
    plain = tidy(typed) if len(typed) <= _TYPED_MAX else ""
    return plain if _USER_CODE.fullmatch(plain) else None


def digest_of(user_code: str) -> str:
    """What is kept of a user code; 64 hex characters."""
    return keyed_digest("recovery-user-code", user_code)


def open_request(terminal: Terminal, operator_number: str) -> Shown:
    """Begin a recovery at the terminal; one that was open there is over, for the screen shows one at a time.

    Raises ProtocolError: `quarantined` for a terminal that is stopped or was tampered with, `not_found` for
    an operator the portal does not know, `slow_down` beyond three an hour.
    """
    if terminal.state != Terminal.State.ACTIVE or terminal.tampered_at is not None:
        raise ProtocolError("quarantined")
    if not Operator.objects.filter(terminal=terminal, number=operator_number).exists():
        raise ProtocolError("not_found", "operator")
    try:
        spend("recoveries-per-terminal", terminal.id)
    except TooMany as many:
        raise ProtocolError("slow_down", retry_after=many.resets_in) from None
    code, match = _free_code(), f"{secrets.randbelow(90) + 10}"
    request = RecoveryRequest(
        terminal=terminal,
        operator_number=operator_number,
        user_code_digest=digest_of(code),
        expires_at=timezone.now() + timedelta(seconds=RECOVERY_LIFETIME),
    )
    request.match_digest = _match_digest(request.id, match)
    with transaction.atomic():
        end_open(terminal)
        request.save(force_insert=True)
        transaction.on_commit(partial(_hurry, request))
        record(
            Tag.RECOVERY_ASKED,
            actor=terminal.id,
            merchant=terminal.store.merchant,
            subject=request.id,
            operator=operator_number,
        )
    return Shown(request.id, f"{code[:4]}-{code[4:]}", match)


def _hurry(request: RecoveryRequest) -> None:
    """Let the poll be fast while somebody waits; the terminal knows it by itself, should Redis be away."""
    try:
        inbox.hurry(request.terminal_id, int(request.expires_at.timestamp()))
    except inbox.InboxUnavailable:
        log.info("inbox_away", terminal=request.terminal_id)


def _free_code() -> str:
    while True:
        code = "".join(secrets.choice(ALPHABET) for _ in range(USER_CODE_SYMBOLS))
        if not RecoveryRequest.objects.filter(user_code_digest=digest_of(code)).exists():
            return code


def _match_digest(request_id: str, match: str) -> str:
    return keyed_digest("recovery-match", request_id, match)


def wire_state(request: RecoveryRequest, now: datetime) -> str:
    """What the terminal is told: pending, denied, expired or done (a command has been issued)."""
    if request.state in _ENDED:
        return str(request.state)
    return "expired" if request.expires_at <= now else "pending"


def asked_at_shop(user_code_digest: str, merchant: Merchant, now: datetime) -> RecoveryRequest | None:
    """The request with this code, if it still waits for a phone, at an active terminal of this merchant."""
    return (
        RecoveryRequest.objects.select_related("terminal")
        .filter(
            user_code_digest=user_code_digest,
            state=State.PENDING,
            expires_at__gt=now,
            terminal__state=Terminal.State.ACTIVE,
            terminal__tampered_at__isnull=True,
            terminal__store__merchant=merchant,
        )
        .first()
    )


def is_shown(user_code_digest: str) -> bool:
    """Whether some terminal's screen shows this code now, or has just led somebody on."""
    mine = RecoveryRequest.objects.filter(user_code_digest=user_code_digest, state__in=OPEN)
    return mine.filter(expires_at__gt=timezone.now()).exists()


def bind(user_code_digest: str, merchant: Merchant) -> RecoveryRequest | None:
    """Give the request to the first browser that proved to be the merchant's; None for all later ones."""
    request = asked_at_shop(user_code_digest, merchant, timezone.now())
    if request is None or not _move(request.id, State.PENDING, to=State.BOUND):
        return None
    request.state = State.BOUND
    return request


def match(request_id: str, number: str) -> Matched:
    """Judge a typed match number. A try is spent before it is looked at; the last one burns the request.

    Called outside a transaction, so that a spent try stays spent.
    """
    now = timezone.now()
    alive = RecoveryRequest.objects.filter(pk=request_id, state=State.BOUND, expires_at__gt=now)
    if alive.filter(tries__lt=MATCH_TRIES).update(tries=F("tries") + 1) != 1:
        return Matched(ok=False, tries_left=0)
    request = RecoveryRequest.objects.get(pk=request_id)
    if equal(_match_digest(request_id, number), request.match_digest):
        return Matched(_move(request_id, State.BOUND, to=State.PROVED, proved_at=now), 0)
    left = MATCH_TRIES - request.tries
    if left <= 0:
        _move(request_id, State.BOUND, to=State.DENIED, finished_at=now)
    return Matched(ok=False, tries_left=max(0, left))


def deny(request_id: str) -> bool:
    """Somebody said no, or the tries are used up; whether this call ended it."""
    return _move(request_id, *OPEN, to=State.DENIED, finished_at=timezone.now())


def finish(request_id: str, command: Command) -> bool:
    """The recovery has led to a command for the terminal; whether this call noted it."""
    return _move(request_id, State.PROVED, to=State.DONE, command=command, finished_at=timezone.now())


def end_open(terminal: Terminal) -> int:
    """End what is open at a terminal: something newer is asked there, or it is no longer trusted."""
    mine = RecoveryRequest.objects.filter(terminal=terminal, state__in=OPEN)
    return mine.update(state=State.EXPIRED, finished_at=timezone.now())


def expire_due(now: datetime) -> int:
    """End what nobody finished in time; how many."""
    waiting = RecoveryRequest.objects.filter(state__in=(State.PENDING, State.BOUND), expires_at__lte=now)
    proved = RecoveryRequest.objects.filter(state=State.PROVED, expires_at__lte=now - PROVED_LIFE)
    ended = {"state": State.EXPIRED, "finished_at": now}
    return waiting.update(**ended) + proved.update(**ended)


def _move(request_id: str, *origins: str, to: str, **changes: object) -> bool:
    mine = RecoveryRequest.objects.filter(pk=request_id, state__in=origins)
    return mine.update(state=to, **changes) == 1
