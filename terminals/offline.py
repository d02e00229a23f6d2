"""Offline unlock: eight digits that let one operator choose a new password without a network (protocol §9).

Nothing that opens anything is stored: an answer is derived from the terminal's key when it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from django.db import transaction
from django.utils import timezone

from portal.audit import Tag, record
from portal.limits import rate_of, take
from portal.secrets import keyed_digest
from terminals import jose, ocra
from terminals.alerts import raise_alert
from terminals.claims import ReceiptClaims
from terminals.models import OfflineUnlock, Operator, Terminal, TerminalAlert
from terminals.protocol import CONFLICT, DUPLICATE, OK, UNKNOWN, UNLOCK_LIFETIME

# As long as the terminal takes the answer to one question.
CHALLENGE_LIFE: Final = timedelta(seconds=UNLOCK_LIFETIME)


class CannotUnlock(Exception):
    """No answer is given; `reason` is stopped, no_key, no_operator, slip, out_of_step or too_many.

    `resets_in` tells for `too_many` in how many seconds it may be tried again.
    """

    def __init__(self, reason: str, resets_in: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.resets_in = resets_in


@dataclass(frozen=True, slots=True)
class Challenge:
    """A question that may be answered: whose it is, and the terminal's counter when it was shown."""

    terminal: Terminal
    operator_number: str
    question: str
    counter: int


def possible(terminal: Terminal) -> bool:
    """Whether this terminal can be unlocked offline at all: active, not opened by force, with a key."""
    return _refusal(terminal) == ""


def _refusal(terminal: Terminal) -> str:
    if terminal.state != Terminal.State.ACTIVE or terminal.tampered_at is not None:
        return "stopped"
    return "" if terminal.offline_key else "no_key"


def consider(terminal: Terminal, operator_number: str, question: str) -> Challenge:
    """Judge ten digits from a screen. Raises CannotUnlock.

    A slip of the fingers costs nothing; a question that is too old costs one of the day's tries. Called
    outside a transaction, so that what is spent stays spent.
    """
    if ocra.is_slip(question):
        raise CannotUnlock("slip")
    terminal = Terminal.objects.select_related("store__merchant").get(pk=terminal.pk)
    reason = _refusal(terminal)
    if reason:
        raise CannotUnlock(reason)
    if not Operator.objects.filter(terminal=terminal, number=operator_number).exists():
        raise CannotUnlock("no_operator")
    counter = ocra.rebuild_counter(question, terminal.offline_counter)
    if counter is None:
        taken = take("offline-misses-per-terminal", terminal.id)
        raise CannotUnlock("out_of_step") if taken.ok else CannotUnlock("too_many", taken.resets_in)
    return Challenge(terminal, operator_number, question, counter)


def answer(challenge: Challenge, *, requested_by: str, recovery_ref: str) -> str:
    """The eight digits, in the caller's transaction; the counter moves on, so no question is answered twice.

    Raises CannotUnlock when the terminal had its answers of the day, or another question was answered, or
    the terminal was stopped, meanwhile.
    """
    terminal = challenge.terminal
    with transaction.atomic():
        # The counter was read before these are counted and is compared after, so none can slip in between.
        _count_answers(terminal)
        still = Terminal.objects.filter(
            pk=terminal.pk,
            state=Terminal.State.ACTIVE,
            tampered_at__isnull=True,
            offline_counter=terminal.offline_counter,
        )
        if still.update(offline_counter=challenge.counter) != 1:
            raise CannotUnlock("out_of_step")
        OfflineUnlock.objects.create(
            terminal=terminal,
            operator_number=challenge.operator_number,
            counter=challenge.counter,
            question_digest=_digest(challenge.question),
            key_kid=kid_of(terminal),
            requested_by=requested_by,
            recovery_ref=recovery_ref,
            answered_at=timezone.now(),
        )
        record(
            Tag.OFFLINE_ANSWERED,
            actor=requested_by,
            merchant=terminal.store.merchant,
            subject=terminal.id,
            operator=challenge.operator_number,
            counter=challenge.counter,
        )
    return _response(challenge)


def _count_answers(terminal: Terminal) -> None:
    rate, now = rate_of("offline-answers-per-terminal"), timezone.now()
    window = timedelta(seconds=rate.get_expiry())
    latest = OfflineUnlock.objects.filter(terminal=terminal, answered_at__gt=now - window)
    times = list(latest.order_by("-answered_at").values_list("answered_at", flat=True)[: rate.amount])
    if len(times) == rate.amount and times[-1] is not None:
        raise CannotUnlock("too_many", ceil((times[-1] + window - now).total_seconds()))


def once_more(unlock: OfflineUnlock, question: str) -> str | None:
    """The same answer to the same question, for a page that was sent twice; None for anything else."""
    fresh = unlock.answered_at is not None and unlock.answered_at > timezone.now() - CHALLENGE_LIFE
    same = unlock.question_digest == _digest(question) and unlock.key_kid == kid_of(unlock.terminal)
    if not (fresh and same and possible(unlock.terminal)):
        return None
    return _response(Challenge(unlock.terminal, unlock.operator_number, question, unlock.counter))


def of_recovery(recovery_ref: str) -> OfflineUnlock | None:
    """What was answered in a recovery."""
    return OfflineUnlock.objects.select_related("terminal").filter(recovery_ref=recovery_ref).first()


def receipt(terminal: Terminal, claims: ReceiptClaims) -> str:
    """Note a signed receipt of an offline unlock: ok, duplicate, unknown (nobody here answered) or conflict.

    One that nobody here answered means that somebody else can: the offline key is out, and an alert says so.
    """
    counter = claims.oc or 0
    mine = {"terminal": terminal, "key_kid": kid_of(terminal), "counter": counter}
    with transaction.atomic():
        unlock, new = OfflineUnlock.objects.get_or_create(**mine, defaults={"question_digest": claims.tok})
        Terminal.objects.filter(pk=terminal.pk, offline_counter__lt=counter).update(offline_counter=counter)
        if unlock.question_digest != claims.tok:
            _unasked(terminal, counter)
            return CONFLICT
        waiting = OfflineUnlock.objects.filter(pk=unlock.pk, receipt_at__isnull=True)
        if waiting.update(receipt_at=_moment(claims.at, unlock.answered_at)) != 1:
            return DUPLICATE
        if new:
            _unasked(terminal, counter)
            return UNKNOWN
        record(
            Tag.OFFLINE_USED,
            actor=terminal.id,
            merchant=terminal.store.merchant,
            subject=terminal.id,
            operator=unlock.operator_number,
            counter=counter,
        )
    return OK


def _unasked(terminal: Terminal, counter: int) -> None:
    raise_alert(TerminalAlert.Kind.UNASKED_UNLOCK, terminal, counter=counter, advice="roll_keys")


def _moment(at: int, earliest: datetime | None) -> datetime:
    """The terminal's word for when it was, kept between the answer and now, for its clock may be off."""
    now = timezone.now()
    told = datetime.fromtimestamp(min(at, int(now.timestamp())), UTC)
    return max(told, earliest) if earliest else told


def kid_of(terminal: Terminal) -> str:
    """A name for the terminal's present offline key, by which rows of an older key are told apart."""
    return keyed_digest("offline-key", terminal.offline_key)[:16]


def _digest(question: str) -> str:
    return jose.digest(question)


def _response(challenge: Challenge) -> str:
    terminal = challenge.terminal
    session = ocra.session_of(terminal.id, challenge.operator_number)
    key = jose.unb64u(terminal.offline_key)
    return ocra.response(key, challenge.counter, challenge.question, session)
