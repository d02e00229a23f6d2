"""Texts and calls through Twilio's Messages and Calls APIs with its official client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from requests.exceptions import RequestException
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

from portal.messaging.gateways import Accepted, GatewayError, Parcel, error_for
from portal.messaging.reports import CALL_SID, ERROR_CODE, MESSAGE_SID
from portal.messaging.silence import error_of

LANGUAGES = {"zh-hans": "zh-CN", "en": "en-US"}
RING_S = 30  # a person at a counter picks up within this; after it the call counts as not answered
SAID = 3  # how often a call repeats itself


class AimedHttpClient(TwilioHttpClient):
    """The official transport with a time-out, no repeats (a repeated POST sends twice), a chosen origin."""

    def __init__(self, base: str, timeout: float) -> None:
        super().__init__(timeout=timeout, pool_connections=False)
        self._base = urlsplit(base) if base else None

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        """Send the request to the configured origin, which for tests is a stand-in on loopback."""
        if self._base:
            url = urlsplit(url)._replace(scheme=self._base.scheme, netloc=self._base.netloc).geturl()
        return super().request(method, url, *args, **kwargs)


class TwilioGateway:
    """Carries texts through one Twilio account."""

    name = "twilio"

    def send(self, parcel: Parcel) -> Accepted:
        """Hand one text to Twilio. Raises GatewayError."""
        with plain_errors():
            message = _client().messages.create(
                to=parcel.to, from_=settings.TWILIO_FROM, body=parcel.text, **_callback(parcel)
            )
            return accepted(message.sid, MESSAGE_SID)


class TwilioVoiceGateway:
    """Calls a phone and speaks."""

    name = "twilio"

    def send(self, parcel: Parcel) -> Accepted:
        """Ask Twilio for one call. Raises GatewayError."""
        with plain_errors():
            call = _client().calls.create(
                to=parcel.to,
                from_=settings.TWILIO_VOICE_FROM,
                twiml=spoken(parcel.text, parcel.locale),
                timeout=RING_S,
                **_callback(parcel),
            )
            return accepted(call.sid, CALL_SID)


def spoken(text: str, locale: str) -> str:
    """The call as TwiML: the same words a few times, with a pause in between to find a pen."""
    response = VoiceResponse()
    response.pause(length=1)
    for _ in range(SAID):
        response.say(text, language=LANGUAGES.get(locale, LANGUAGES["en"]))
        response.pause(length=2)
    return str(response)


def accepted(sid: Any, shape: re.Pattern[str]) -> Accepted:
    """What was taken, under Twilio's own number. Raises GatewayError for an answer without one."""
    if not isinstance(sid, str) or not shape.fullmatch(sid):
        raise error_for("garbled")
    return Accepted(sid)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn whatever the client raises into a GatewayError; once the request is out, silence means unknown.

    The errors are raised anew, because Twilio's own carry addresses and bodies.
    """
    try:
        yield
    except TwilioRestException as error:
        raise _refusal(error) from None
    except (TwilioException, RequestException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise error_of(error) from None


def _client() -> Client:
    http = AimedHttpClient(settings.TWILIO_API_BASE, settings.TWILIO_TIMEOUT)
    return Client(settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN, http_client=http)


def _callback(parcel: Parcel) -> dict[str, str]:
    return {"status_callback": parcel.callback_url} if parcel.callback_url else {}


def _refusal(error: TwilioRestException) -> GatewayError:
    if error.status >= 500:
        return error_for("server")
    if error.status == 429:
        return error_for("20429")
    if error.status == 401:
        return error_for("20003")
    code = str(error.code or error.status)
    return error_for(code if ERROR_CODE.fullmatch(code) else "garbled")
