"""Telling a shop what happened at everything it can be reached by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.conf import settings
from django.utils.translation import get_language

from portal.messaging.outbox import queue_message
from portal.models import Address, Channel, Merchant

CHANNELS = {Address.Kind.PHONE: Channel.SMS, Address.Kind.EMAIL: Channel.EMAIL}


def tell(kind: str, to: str, template: str, locale: str = "", **facts: str) -> None:
    """Queue one notice, with the hotline beside the other facts; none for an empty address."""
    if to:
        told = {**facts, "hotline": settings.REKEY_HOTLINE}
        language = locale or get_language() or settings.LANGUAGE_CODE
        channel = CHANNELS[Address.Kind(kind)]
        queue_message(template, to, language, channel=channel, facts=told)


def tell_shop(
    merchant: Merchant,
    template: str,
    facts: Mapping[str, str] | None = None,
    *,
    contacts: bool = False,
    but: Iterable[str] = (),
) -> None:
    """Tell the registered phone and the owner's other addresses, and recovery contacts as well if asked to.

    `but` leaves out addresses that are told something else.
    """
    mine = Address.objects.filter(merchant=merchant, retired_at__isnull=True)
    reached = mine if contacts else mine.filter(holder=Address.Holder.OWNER)
    if merchant.phone not in but:
        tell(Address.Kind.PHONE, merchant.phone, template, **facts or {})
    for address in reached:
        if address.value not in but:
            tell(address.kind, address.value, template, address.locale, **facts or {})
