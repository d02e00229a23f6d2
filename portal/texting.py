"""Whether one more code may be asked for: the one place that spends the limits on recovery codes (T15)."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from portal import conversion, dialling, spending
from portal.limits import take
from portal.models import Channel, Merchant


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks for a code, from where, and for whom; without a merchant it is a stranger's.

    `phone` is where it goes: for the channel e-mail an address. `source` names a terminal or a browser that
    proved itself for this merchant; empty for everybody else. `case` is a ticket that support has answered:
    it stands in for a merchant that is not known yet.
    """

    phone: str
    block: str
    merchant: Merchant | None
    source: str = ""
    channel: str = Channel.SMS
    case: str = ""


def refusal(ask: Ask) -> str:
    """Spend the limits on texts, calls and mails; the name of the one that stands against it, or "" for none.

    Strangers spend the address's share like everybody, or it would tell afterwards who was known.
    """
    address = take("sms-per-address", ask.block)
    counted = ask.merchant.number if ask.merchant is not None else ask.case
    if not counted:
        return "stranger"
    if ask.channel == Channel.EMAIL:
        return _first_spent(("mail-per-mailbox", ask.phone), ("mail-overall", ""))
    if not dialling.is_open(ask.phone):
        return dialling.PER_DIAL_CODE
    if ask.source and ask.merchant is not None:
        # What strangers can use up does not count for those who proved themselves (T16).
        return _first_spent(("sms-per-source", f"{ask.merchant.pk}:{ask.source}"), ("sms-from-sources", ""))
    if not address.ok:
        return "sms-per-address"
    if not spending.lasts():
        return spending.MONEY
    spent = _first_spent(
        ("sms-per-phone", ask.phone),
        ("sms-per-merchant", counted),
        ("sms-per-block", ask.phone[:-4]),
        ("sms-overall", ""),
    )
    code = dialling.dial_code_of(ask.phone)
    if not spent and not take(dialling.PER_DIAL_CODE, code, amount=dialling.daily_caps()[code]).ok:
        spent = dialling.PER_DIAL_CODE
    # Last, for it counts trials.
    return spent or ("" if conversion.take(timezone.now()) else "texts-stopped")


def _first_spent(*guards: tuple[str, str]) -> str:
    """The first of the guards that has nothing left; those before it have been taken from."""
    return next((name for name, key in guards if not take(name, key).ok), "")


def stopped() -> bool:
    """Whether texts are stopped for strangers just now: the same for everybody, so pages may say it."""
    return not (conversion.stands(timezone.now()) and spending.lasts())
