"""Telling of a reset: whoever asked for it, and the shop's other addresses."""

from __future__ import annotations

from portal.messaging.outbox import queue_message
from portal.notices import tell_shop
from recovery.models import Recovery


def tell_of(recovery: Recovery, template: str, facts: dict[str, str]) -> None:
    """Tell the phone it was begun with, in the language of that page, and all others that the owner has."""
    told = {**facts, "number": recovery.number}
    if recovery.phone:
        queue_message(template, recovery.phone, recovery.locale, facts=told)
    if recovery.merchant is not None:
        tell_shop(recovery.merchant, template, told, but=(recovery.phone,))
