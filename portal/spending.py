"""What texts and calls may cost a day: spent before the provider is asked, to the thousandth (T15)."""

from __future__ import annotations

from django.conf import settings
from django.db.models import F

from portal import dialling
from portal.alarms import raise_alarm
from portal.audit import Tag
from portal.limits import look, rate_of, take
from portal.models import Channel, Message

MONEY = "text-money-overall"  # in thousandths of a currency unit
PRICES = {dialling.HOME: 45}
ELSEWHERE = 1000
# Codes that strangers ask for leave a fifth to everything else: owners who proved themselves, and notices.
STRANGERS_SHARE = 0.8


def price_of(phone: str) -> int:
    """What one text or call to this number costs, in thousandths, by the price list."""
    code = dialling.dial_code_of(phone)
    named = settings.REKEY_TEXT_PRICES.get(code)
    return int(named) if named is not None else PRICES.get(code, ELSEWHERE)


def pay(message: Message) -> str:
    """Spend what one hand-over costs; the reason why not, or "". Nothing is given back."""
    if message.channel == Channel.EMAIL:
        return ""
    if not dialling.is_open(message.phone):
        return "dial_code"
    price = price_of(message.phone)
    for_strangers = message.template == "code" and not message.known_source
    amount = _strangers_amount() if for_strangers else None
    if not take(MONEY, "", cost=price, amount=amount).ok:
        if look("alarms-per-kind", Tag.MONEY_SPENT.value).ok:
            raise_alarm(Tag.MONEY_SPENT, limit=MONEY)
        return "budget"
    Message.objects.filter(pk=message.pk).update(cost_milli=F("cost_milli") + price)
    return ""


def lasts() -> bool:
    """Whether there is money left for a stranger's text at home."""
    return look(MONEY, "", cost=price_of(f"+{dialling.HOME}13800138000"), amount=_strangers_amount()).ok


def _strangers_amount() -> int:
    return int(rate_of(MONEY).amount * STRANGERS_SHARE)
