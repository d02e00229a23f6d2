"""A message by which staff try a gateway: to a number that a superuser typed, counted and on record."""

from __future__ import annotations

from portal.audit import Tag, record
from portal.limits import spend
from portal.messaging.outbox import TEST, phone_subject, queue_message
from portal.models import Channel, Message

SAID = "123456"  # what a call reads out; it is no code of anybody's


def send_test(to: str, channel: str, gateway: str, locale: str, by: str) -> Message:
    """Queue one, by this gateway and no other. Raises TooMany when this member of staff has had theirs."""
    spend("test-messages-per-staff", by)
    facts = {"code": SAID} if channel == Channel.VOICE else {}
    message = queue_message(TEST, to, locale, channel=channel, facts=facts, gateway=gateway)
    record(
        Tag.MESSAGE_TESTED,
        actor=by,
        subject=phone_subject(to),
        channel=str(channel),
        gateway=gateway,
        message=message.id,
    )
    return message
