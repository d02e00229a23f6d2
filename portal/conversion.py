"""A breaker for texts: when hardly any code that is sent is typed back, somebody is pumping texts (T15).

Judged are the last hundred codes that strangers asked for, each old enough to have been typed. Below three in
ten texts stop for strangers; after a pause a few trials pass, and what becomes of them decides.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet

from portal.alarms import raise_alarm
from portal.audit import Tag, record
from portal.models import Challenge, Channel, Circuit, Message

NAME = "texts"
TEMPLATE = "code"
SAMPLE = 100
SHARE = 0.3
TYPED_WITHIN = timedelta(seconds=45)  # most people type a code sooner; together with a sweep under a minute
PAUSE = timedelta(minutes=10)
TRIALS = 10
State = Message.State
SENT = (State.ACCEPTED, State.SENT, State.DELIVERED, State.UNDELIVERED, State.UNKNOWN)


def stands(now: datetime) -> bool:
    """Whether strangers may ask for texts, as far as this is known without taking a trial."""
    stopped = Circuit.objects.filter(name=NAME, stopped_at__isnull=False)
    return not stopped.exclude(_has_trials(now)).exists()


def take(now: datetime) -> bool:
    """Whether one text may go out; while it tries again, this takes one of the trials."""
    if not Circuit.objects.filter(name=NAME, stopped_at__isnull=False).exists():
        return True
    return Circuit.objects.filter(_has_trials(now), name=NAME).update(trials=F("trials") + 1) == 1


def _has_trials(now: datetime) -> Q:
    return Q(stopped_at__isnull=False, retry_at__lte=now, trials__lt=TRIALS)


def judge(now: datetime) -> None:
    """Stop, go on or rest for another while, as the codes say. Called every few seconds; twice is as once."""
    circuit = Circuit.objects.get_or_create(name=NAME)[0]
    if circuit.stopped_at is None:
        _judge_running(circuit, now)
    elif circuit.retry_at is not None and circuit.retry_at <= now:
        _judge_trials(circuit, circuit.retry_at, now)


def _judge_running(circuit: Circuit, now: datetime) -> None:
    typed = _typed_back(_sends(circuit.counted_from, now))
    if len(typed) < SAMPLE or sum(typed) >= SHARE * SAMPLE:
        return
    running = Circuit.objects.filter(name=NAME, stopped_at__isnull=True)
    if running.update(stopped_at=now, retry_at=now + PAUSE, trials=0) == 1:
        raise_alarm(Tag.TEXTS_STOPPED, sent=len(typed), typed_back=sum(typed))


def _judge_trials(circuit: Circuit, since: datetime, now: datetime) -> None:
    good = Challenge.objects.filter(messages__in=_sends(since, now + TYPED_WITHIN), used_at__isnull=False)
    trying = Circuit.objects.filter(name=NAME, stopped_at=circuit.stopped_at, retry_at=since)
    if good.distinct().count() >= SHARE * TRIALS:
        if trying.update(stopped_at=None, retry_at=None, trials=0, counted_from=now) == 1:
            record(Tag.TEXTS_RESUMED, actor="system")
    elif circuit.trials >= TRIALS and not _sends(now - TYPED_WITHIN, now + TYPED_WITHIN).exists():
        trying.update(retry_at=now + PAUSE, trials=0)


def _sends(since: datetime | None, now: datetime) -> QuerySet[Message]:
    """Codes by text that strangers asked for and a provider took, old enough to have been typed back."""
    old = Message.objects.filter(
        template=TEMPLATE,
        channel=Channel.SMS,
        known_source=False,
        state__in=SENT,
        created_at__lte=now - TYPED_WITHIN,
    )
    return old.filter(created_at__gte=since) if since else old


def _typed_back(sends: QuerySet[Message]) -> list[bool]:
    newest = sends.order_by("-created_at").values_list("challenge__used_at", flat=True)[:SAMPLE]
    return [used_at is not None for used_at in newest]
