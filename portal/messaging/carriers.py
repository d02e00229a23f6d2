"""Which gateway carries what: one list per channel, from the settings."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string

from portal.messaging.gateways import Gateway
from portal.models import Channel

OFF = "off"
GATEWAYS = {
    Channel.SMS: {
        "console": "portal.messaging.console.ConsoleGateway",
        "twilio": "portal.messaging.twilio.TwilioGateway",
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


def name_of(channel: str) -> str:
    """The gateway that the settings name for a channel; "off" when it is not offered."""
    named: dict[str, str] = {
        Channel.SMS: settings.SMS_GATEWAY,
        Channel.VOICE: settings.VOICE_GATEWAY,
        Channel.EMAIL: settings.MAIL_GATEWAY,
    }
    return named[channel]


def is_offered(channel: str) -> bool:
    """Whether anything can be sent by this channel here; pages offer no other."""
    return name_of(channel) != OFF


def gateway(channel: str, name: str) -> Gateway:
    """A gateway, made anew so that no process keeps another's connections."""
    made: Gateway = import_string(GATEWAYS[Channel(channel)][name])()
    return made
