"""Which gateway carries what: lists by channel and dial code, from the settings, and who is next."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.utils.module_loading import import_string

from portal.dialling import dial_code_of
from portal.messaging import circuits
from portal.messaging.gateways import Gateway
from portal.models import Channel

OFF = "off"
GATEWAYS = {
    Channel.SMS: {
        "console": "portal.messaging.console.ConsoleGateway",
        "twilio": "portal.messaging.twilio.TwilioGateway",
        "aliyun": "portal.messaging.aliyun.AliyunGateway",
    },
    Channel.VOICE: {
        "console": "portal.messaging.console.ConsoleVoiceGateway",
        "twilio": "portal.messaging.twilio.TwilioVoiceGateway",
    },
    Channel.EMAIL: {
        "file": "portal.messaging.mail.FileMailGateway",
        "smtp": "portal.messaging.mail.MailGateway",
    },
}


def default_of(channel: str) -> str:
    """The gateway that the settings name for a channel; "off" when it is not offered."""
    named: dict[str, str] = {
        Channel.SMS: settings.SMS_GATEWAY,
        Channel.VOICE: settings.VOICE_GATEWAY,
        Channel.EMAIL: settings.MAIL_GATEWAY,
    }
    return named[channel]


def is_offered(channel: str) -> bool:
    """Whether anything can be sent by this channel here; pages offer no other."""
    return default_of(channel) != OFF


def in_use() -> list[tuple[str, str]]:
    """Every channel and gateway that the settings name, each once."""
    texts = [name for route in settings.SMS_ROUTES.values() for name in route.split("+")]
    named = [(Channel.SMS.value, name) for name in (settings.SMS_GATEWAY, *texts)]
    named += [(channel.value, default_of(channel)) for channel in (Channel.VOICE, Channel.EMAIL)]
    return [one for one in dict.fromkeys(named) if one[1] != OFF]


def route(channel: str, to: str) -> list[str]:
    """The gateways that carry to this number or mailbox, in order."""
    routed = settings.SMS_ROUTES.get(dial_code_of(to), "") if channel == Channel.SMS else ""
    return routed.split("+") if routed else [default_of(channel)]


def choose(channel: str, to: str, tried: Collection[str], now: datetime) -> str:
    """Who is next: one that was not tried before one that was, one that works before one that rests.

    Somebody is always chosen: where all rest, the first is tried all the same.
    """
    names = sorted(route(channel, to), key=lambda name: name in tried)
    if len(names) == 1:
        return names[0]
    return next((name for name in names if circuits.may_carry(channel, name, now)), names[0])


def gateway(channel: str, name: str) -> Gateway:
    """A gateway, made anew so that no process keeps another's connections."""
    made: Gateway = import_string(GATEWAYS[Channel(channel)][name])()
    return made
