"""Which countries texts may go to, and how many a day each: +86, and what a deployment opts into (T15)."""

from __future__ import annotations

from django.conf import settings
from phonenumbers import NumberParseException, parse

from portal.limits import rate_of

HOME = "86"
PER_DIAL_CODE = "sms-per-dial-code"


def daily_caps() -> dict[str, int]:
    """Dial code without its plus → texts a day that strangers may ask for there."""
    named = {code: int(cap) for code, cap in settings.REKEY_DIAL_CODES.items()}
    return {HOME: rate_of(PER_DIAL_CODE).amount} | named


def dial_code_of(phone: str) -> str:
    """The dial code of an E.164 number, such as "86"; empty when it cannot be told."""
    try:
        return str(parse(phone).country_code)
    except NumberParseException:
        return ""


def is_open(phone: str) -> bool:
    """Whether texts go to this number's country at all."""
    return daily_caps().get(dial_code_of(phone), 0) > 0
