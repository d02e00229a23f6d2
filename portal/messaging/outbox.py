"""The outbox of texts: rows first, then Celery, and a sweeper behind both."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from portal import spending
from portal.audit import Tag, record
from portal.celery import nudge
from portal.codes import derive_code
from portal.messaging import circuits
from portal.messaging.carriers import choose, gateway, route
from portal.messaging.gateways import Action, GatewayError, Parcel, error_for
from portal.messaging.templates import render, speak, subject_of, write_mail
from portal.models import Challenge, Channel, Message, phone_digest
from portal.quoted import number_of
from portal.secrets import pepper

log = structlog.get_logger(__name__)
State = Message.State
TASK = "portal.tasks.send_message"
TEST = "test"
# A code that waited longer than this is not sent any more; a notice may wait an hour.
FRESH = timedelta(seconds=60)
NOTICE_FRESH = timedelta(hours=1)
TRIES = 2  # hand-overs of one message at most, whatever goes wrong
PAUSE = timedelta(seconds=5)  # between the two
LOST = timedelta(seconds=40)  # longer than a task may run
BATCH = 200

# A report may only move a message forward along this line.
RANK = {
    State.QUEUED: 0,
    State.SENDING: 1,
    State.UNKNOWN: 2,
    State.ACCEPTED: 2,
    State.SENT: 3,
    State.DELIVERED: 4,
    State.UNDELIVERED: 4,
    State.FAILED: 4,
}
LAST = RANK[State.DELIVERED]
REPORTED = {name.value: name for name in (State.SENT, State.DELIVERED, State.UNDELIVERED, State.FAILED)}


def queue_message(
    template: str,
    to: str,
    locale: str,
    *,
    channel: str = Channel.SMS,
    challenge: Challenge | None = None,
    facts: dict[str, Any] | None = None,
    known_source: bool = False,
    gateway: str = "",
) -> Message:
    """Store a message and, once the transaction commits, ask a worker to send it.

    `to` is an E.164 number, or for the channel e-mail an address; every template can be mailed, a call only
    carries codes. `facts` are the template's values; they are stored as they are, so no names and no secrets;
    `quote` is the id of a change whose number the text holds.
    `gateway` names who is to carry a test.
    """
    message = Message.objects.create(
        template=template,
        channel=channel,
        phone="" if channel == Channel.EMAIL else to,
        email=to if channel == Channel.EMAIL else "",
        locale=locale,
        challenge=challenge,
        facts=facts or {},
        known_source=known_source,
        gateway=gateway,
    )
    transaction.on_commit(partial(nudge, TASK, message.id))
    return message


def _ready(now: datetime) -> Q:
    rested = Q(claimed_at__isnull=True) | Q(claimed_at__lte=now - PAUSE)
    return rested & Q(state=State.QUEUED, tries__lt=TRIES)


def _stale(now: datetime) -> Q:
    late = Q(challenge__isnull=False, created_at__lt=now - FRESH) | Q(created_at__lt=now - NOTICE_FRESH)
    return late | Q(challenge__expires_at__lte=now) | Q(challenge__used_at__isnull=False)


def deliver(message_id: str) -> bool:
    """Send one queued message; whether this call handed it to the provider. Safe to run twice.

    The try is spent before the provider is called: a worker that dies in between leaves `sending`, which the
    sweeper turns into `unknown` and never repeats.
    """
    now = timezone.now()
    mine = Message.objects.filter(_ready(now), id=message_id)
    if mine.update(state=State.SENDING, tries=F("tries") + 1, claimed_at=now) != 1:
        return False
    if Message.objects.filter(_stale(now), id=message_id).exists():
        _settle(message_id, State.FAILED, error="stale")
        return False
    message = Message.objects.select_related("challenge").get(id=message_id)
    if why := spending.pay(message):
        _refused(message, error_for(why), "")
        return False
    name = _carrier_for(message, now)
    try:
        accepted = gateway(message.channel, name).send(parcel_of(message))
    except GatewayError as error:
        circuits.note(message.channel, name, timezone.now(), failed=error.is_outage)
        _refused(message, error, name)
        return False
    circuits.note(message.channel, name, timezone.now(), failed=False)
    _settle(message_id, State.ACCEPTED, error="", gateway=name)
    # A report may have been faster than our own note; the id is kept all the same.
    Message.objects.filter(id=message_id).update(
        provider_id=accepted.provider_id, gateway=name, accepted_at=timezone.now()
    )
    return True


def _carrier_for(message: Message, now: datetime) -> str:
    """Who carries this time; a test names it. What takes over carries a new code, and the one before is void.

    So nobody who heard the first code, on a gateway that did not do its work, can use it.
    """
    if message.template == TEST:
        return message.gateway
    if message.challenge is None:
        return choose(message.channel, message.to, _unlucky([message]), now)
    before = Message.objects.filter(challenge=message.challenge, channel=message.channel, tries__gt=0)
    chosen = choose(message.channel, message.to, _unlucky(before), now)
    used = {one.gateway for one in before} - {""}
    if used and chosen not in used:
        Challenge.objects.filter(pk=message.challenge.pk).update(generation=F("generation") + 1)
        message.challenge.refresh_from_db()
    Message.objects.filter(pk=message.pk).update(generation=message.challenge.generation)
    return chosen


def _unlucky(messages: Iterable[Message]) -> set[str]:
    """The gateways that were handed something which nobody says has arrived."""
    return {one.gateway for one in messages if one.state != State.DELIVERED} - {""}


def _settle(message_id: str, state: Message.State, **facts: Any) -> bool:
    sending, now = Message.objects.filter(id=message_id, state=State.SENDING), timezone.now()
    if state in (State.FAILED, State.UNKNOWN):
        facts["settled_at"] = now
    return sending.update(state=state, updated_at=now, **facts) == 1


def _refused(message: Message, error: GatewayError, carrier: str) -> None:
    log.warning("message_refused", message=message.id, error_code=error.code, action=error.action.value)
    over = len(route(message.channel, message.to)) > 1 and error.another_may
    again = over or error.action in (Action.RETRY, Action.BACK_OFF, Action.UNKNOWN)
    if message.tries < TRIES and again and message.template != TEST:
        # Another gateway need not rest as this one does.
        facts = {"claimed_at": None} if over else {}
        if _settle(message.id, State.QUEUED, error=error.code, gateway=carrier, **facts) and over:
            nudge(TASK, message.id)
        return
    last = State.UNKNOWN if error.action is Action.UNKNOWN else State.FAILED
    _settle(message.id, last, error=error.code, gateway=carrier)
    note_trouble(message, error)


def note_trouble(message: Message, error: GatewayError) -> None:
    """Put a text that will not arrive on record: under its phone's digest when the number is to blame."""
    if error.action is Action.MARK_NUMBER:
        record(Tag.PHONE_UNREACHABLE, actor="system", subject=phone_subject(message.to), error=error.code)
    else:
        record(Tag.SMS_REFUSED, actor="system", subject=f"message:{message.id}", error=error.code)


def phone_subject(phone: str) -> str:
    """How a phone is named in the audit trail: findable for who knows it, readable for nobody."""
    return f"phone:{phone_digest(phone)[:32]}"


def parcel_of(message: Message) -> Parcel:
    """What to hand over. Codes and numbers are derived here, in the worker, and nowhere kept."""
    values = {name: str(value) for name, value in message.facts.items()}
    if change := values.pop("quote", ""):
        values["number"] = number_of(change)
    if message.challenge is not None:
        values["code"] = derive_code(pepper(), message.challenge.seed, message.challenge.purpose)
    return Parcel(
        to=message.to,
        text=_words(message, values),
        template=message.template,
        locale=message.locale,
        values=values,
        subject=subject_of(message.template, message.locale),
        callback_url=callback_url(message),
        reference=message.callback_key,
    )


def _words(message: Message, values: dict[str, str]) -> str:
    if message.channel == Channel.VOICE:
        return speak(message.locale, values["code"])
    if message.channel == Channel.EMAIL:
        told = {name: value for name, value in values.items() if name != "hotline"}
        if "quote" in message.facts:
            # Behind the hash it stays in the browser: no server, proxy or log sees it.
            told["undo"] = f"{settings.REKEY_ORIGIN}{reverse('portal:veto')}#{values['number']}"
        return write_mail(message.template, message.locale, settings.REKEY_HOTLINE, **told)
    return render(message.template, message.locale, **values)


def callback_url(message: Message) -> str:
    """The configured address at which the provider may report on this message; empty when none is set."""
    return callback_url_of(message.callback_key) if settings.TWILIO_CALLBACK_ORIGIN else ""


def callback_url_of(callback_key: str) -> str:
    """The address as the provider was given it, whatever the request that came in says about itself."""
    origin: str = settings.TWILIO_CALLBACK_ORIGIN
    return origin.rstrip("/") + reverse("portal:sms_callback", args=[callback_key])


def note_report(
    callback_key: str, provider_id: str, status: str, error_code: str, *, gateway: str = ""
) -> bool:
    """Note a provider's genuine report about a message; whether anything changed.

    A provider is heard only about what it carried itself, when it says who it is (`gateway`).

    It informs: states move forward only, and it never verifies, unlocks, repeats or refunds anything.
    """
    state = REPORTED.get(status)
    if state is None:
        return False
    behind = [name for name, rank in RANK.items() if rank < RANK[state]]
    mine = Message.objects.filter(callback_key=callback_key, provider_id__in=("", provider_id))
    if gateway:
        mine = mine.filter(gateway__in=("", gateway))
    now = timezone.now()
    facts = {"settled_at": now} if RANK[state] == LAST else {}
    changed = mine.filter(state__in=behind).update(
        state=state, error=error_code, provider_id=provider_id, updated_at=now, **facts
    )
    if changed == 1 and error_code:
        note_trouble(mine.get(), error_for(error_code))
    return changed == 1


def sweep(now: datetime) -> int:
    """Offer queued messages again, fail stale ones, give up on lost workers; how many were settled."""
    lost = Message.objects.filter(state=State.SENDING, claimed_at__lt=now - LOST)
    # A notice that arrives twice does no harm, one that never does may; for a code its owner asks again.
    lost.filter(challenge__isnull=True, tries__lt=TRIES).update(
        state=State.QUEUED, error="lost", updated_at=now
    )
    settled = lost.update(state=State.UNKNOWN, error="lost", updated_at=now, settled_at=now)
    old = Message.objects.filter(_stale(now), state=State.QUEUED).values_list("id", flat=True)[:BATCH]
    settled += Message.objects.filter(id__in=list(old), state=State.QUEUED).update(
        state=State.FAILED, error="stale", updated_at=now, settled_at=now
    )
    waiting = Message.objects.filter(_ready(now), created_at__lt=now - timedelta(seconds=2))
    for message_id in waiting.values_list("id", flat=True)[:BATCH]:
        nudge(TASK, message_id)
    return settled
