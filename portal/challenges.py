"""The one place where a code is made, sent again and checked (design D7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Literal

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from portal import guessing
from portal.codes import derive_code, equal, normalise_code
from portal.messaging.outbox import queue_message
from portal.models import Challenge, Channel, Message
from portal.secrets import pepper

LIFE = timedelta(minutes=10)  # NIST SP 800-63B-4 allows a texted code at most ten minutes
ATTEMPTS = 5
COOL_DOWN = timedelta(seconds=60)
# When a text has not come by then, the phone may be called instead: once per text.
OTHER_WAY = timedelta(seconds=20)
SENDS = 3

Reason = Literal["ok", "wrong", "expired", "exhausted", "used", "malformed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a typed code: `ok`, the reason, and the tries that are left."""

    ok: bool
    reason: Reason
    tries_left: int


@dataclass(frozen=True, slots=True)
class Resend:
    """Whether a slot was taken, in how many seconds the next one opens, and how many are left."""

    sent: bool
    wait: int
    left: int


def open_for(purpose: str, to: str, channel: str, *, subject: str) -> Challenge:
    """A fresh challenge bound to a purpose and a subject, whose code goes `to` a phone or an e-mail address.

    Nothing is sent; with an empty `to` it is a decoy.
    """
    where = {"email": to} if channel == Channel.EMAIL else {"phone": to}
    return Challenge.objects.create(
        purpose=purpose, channel=channel, subject=subject, expires_at=timezone.now() + LIFE, **where
    )


def open_challenge(purpose: str, subject: str, phone: str) -> Challenge:
    """The same for a text to a phone."""
    return open_for(purpose, phone, Channel.SMS, subject=subject)


def check(challenge_id: str, purpose: str, subject: str, text: str, *, accept: bool = True) -> Outcome:
    """Judge what was typed. An attempt is spent, durably, before anything is compared.

    `accept=False` walks the same road for a stranger and can only end in "wrong" (design D8), and so does a
    decoy. A text that cannot be a code spends nothing. Raises RuntimeError inside a transaction, for a caller
    that rolls back must not give attempts back.
    """
    mine = Challenge.objects.filter(id=challenge_id, purpose=purpose, subject=subject)
    typed = normalise_code(text)
    if typed is None:
        return Outcome(False, "malformed", _tries_of(mine.first()))
    spent = _spend(mine)
    challenge = mine.first()
    if challenge is None or not spent:
        return Outcome(False, _why_closed(challenge), _tries_of(challenge))
    right = equal(typed, derive_code(pepper(), challenge.seed, purpose))
    if not (right and accept and challenge.to):
        guessing.note_wrong(challenge.to, real=accept and challenge.to != "")
        return Outcome(False, "wrong", _tries_of(challenge))
    return Outcome(True, "ok", 0) if _consume(mine) else Outcome(False, "used", 0)


def _spend(mine: QuerySet[Challenge]) -> bool:
    with transaction.atomic(durable=True):
        alive = mine.filter(attempts__lt=ATTEMPTS, used_at__isnull=True, expires_at__gt=timezone.now())
        return alive.update(attempts=F("attempts") + 1) == 1


def _consume(mine: QuerySet[Challenge]) -> bool:
    with transaction.atomic(durable=True):
        return mine.filter(used_at__isnull=True).update(used_at=timezone.now()) == 1


def _why_closed(challenge: Challenge | None) -> Reason:
    if challenge is None or challenge.expires_at <= timezone.now():
        return "expired"
    return "used" if challenge.used_at else "exhausted"


def _tries_of(challenge: Challenge | None) -> int:
    return tries_left(challenge) if challenge else 0


def tries_left(challenge: Challenge) -> int:
    """How many codes may still be typed: 0 once it is used, over or spent."""
    if challenge.used_at or challenge.expires_at <= timezone.now():
        return 0
    return max(0, ATTEMPTS - challenge.attempts)


def sends_left(challenge: Challenge) -> int:
    """How many more messages may go out for this challenge."""
    return max(0, SENDS - challenge.sends)


def next_send_in(challenge: Challenge, now: datetime | None = None) -> int:
    """Seconds until a resend is allowed; 0 when it is allowed now."""
    return _left(challenge, COOL_DOWN, now)


def next_call_in(challenge: Challenge, now: datetime | None = None) -> int:
    """Seconds until the phone may be called: sooner after a text than after a call."""
    after_a_text = challenge.channel == Channel.SMS
    return _left(challenge, OTHER_WAY if after_a_text else COOL_DOWN, now)


def _left(challenge: Challenge, pause: timedelta, now: datetime | None) -> int:
    sent = challenge.last_sent_at or challenge.created_at
    return max(0, ceil((sent + pause - (now or timezone.now())).total_seconds()))


def take_send(challenge_id: str, channel: str = "") -> bool:
    """Take the next send slot: one a minute, three in all, whoever asks and however often in parallel.

    With a channel the challenge goes that way from now on. A call may follow a text sooner, once.
    """
    now = timezone.now()
    rested = Q(last_sent_at__isnull=True) | Q(last_sent_at__lte=now - COOL_DOWN)
    facts: dict[str, object] = {"channel": channel} if channel else {}
    if channel == Channel.VOICE:
        rested |= Q(channel=Channel.SMS, last_sent_at__lte=now - OTHER_WAY)
    alive = Challenge.objects.filter(id=challenge_id, used_at__isnull=True, expires_at__gt=now)
    if channel:
        alive = alive.filter(email="")
    slot = alive.filter(rested, sends__lt=SENDS)
    return slot.update(sends=F("sends") + 1, last_sent_at=now, **facts) == 1


def send(challenge: Challenge, template: str, locale: str, *, known_source: bool = False) -> Message | None:
    """Queue the code the challenge's way if a slot is free; the message, or None, as for a decoy.

    What limits there are on the way is for the caller to spend before (`texting.refusal`).
    """
    if not take_send(challenge.id) or not challenge.to:
        return None
    return queue_code(challenge, template, locale, known_source=known_source)


def queue_code(challenge: Challenge, template: str, locale: str, *, known_source: bool = False) -> Message:
    """Queue the code for a slot that was taken before."""
    return queue_message(
        template,
        challenge.to,
        locale,
        channel=challenge.channel,
        challenge=challenge,
        known_source=known_source,
    )


def resend(challenge_id: str, template: str, locale: str, *, real: bool = True, channel: str = "") -> Resend:
    """Send the same code again if a slot is free, by another channel if one is named.

    `real=False` takes the slot and sends nothing.
    """
    with transaction.atomic():
        took = take_send(challenge_id, channel)
        challenge = Challenge.objects.get(id=challenge_id)
        if took and real and challenge.to:
            queue_code(challenge, template, locale)
    return Resend(took, next_send_in(challenge), sends_left(challenge))
