"""Text messages through Twilio's Messages API with its official client, and its signed reports about them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from requests.exceptions import ConnectionError as ConnectionFailed
from requests.exceptions import ConnectTimeout, RequestException, Timeout
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.request_validator import HMAC_SHA1, RequestValidator, get_signature_algorithm
from twilio.rest import Client
from urllib3.exceptions import NewConnectionError

from portal.messaging.gateways import Accepted, GatewayError, error_for

MESSAGE_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,39}")
ERROR_CODE = re.compile(r"[0-9]{1,6}")


class AimedHttpClient(TwilioHttpClient):
    """The official transport with a time-out, no repeats (a repeated POST sends twice) and a chosen origin."""

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

    def __init__(self) -> None:
        http = AimedHttpClient(settings.TWILIO_API_BASE, settings.TWILIO_TIMEOUT)
        self.client = Client(settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN, http_client=http)

    def send(self, to: str, text: str, callback_url: str) -> Accepted:
        """Hand one text to Twilio. Raises GatewayError; once the request is out, silence means unknown.

        The errors are raised anew, because Twilio's own carry addresses and bodies.
        """
        extra = {"status_callback": callback_url} if callback_url else {}
        try:
            message = self.client.messages.create(to=to, from_=settings.TWILIO_FROM, body=text, **extra)
        except TwilioRestException as error:
            raise _refusal(error) from None
        except ConnectTimeout:
            raise error_for("unreachable") from None
        except Timeout:
            raise error_for("timeout") from None
        except ConnectionFailed as error:
            raise error_for("unreachable" if _never_left(error) else "timeout") from None
        except (TwilioException, RequestException, ValueError, KeyError, TypeError, AttributeError):
            raise error_for("garbled") from None
        if not MESSAGE_SID.fullmatch(message.sid or ""):
            raise error_for("garbled")
        return Accepted(str(message.sid))


def _never_left(error: ConnectionFailed) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)


def _refusal(error: TwilioRestException) -> GatewayError:
    if error.status >= 500:
        return error_for("server")
    if error.status == 429:
        return error_for("20429")
    if error.status == 401:
        return error_for("20003")
    code = str(error.code or error.status)
    return error_for(code if ERROR_CODE.fullmatch(code) else "garbled")


@dataclass(frozen=True, slots=True)
class Report:
    """What Twilio says has become of one message."""

    provider_id: str
    status: str
    error: str


def read_report(url: str, fields: Mapping[str, list[str]], signature: str, algorithm_header: str) -> Report | None:
    """The report in a callback that Twilio signed for exactly this configured URL; None for anything else.

    The signature joins names and values without separators and covers no time, so names must look like
    Twilio's, none may be repeated, the account must be ours, and the caller must let states move forward only.
    It is HMAC-SHA1 with our auth token; a header that names another algorithm is refused.
    """
    plain = {name: values[0] for name, values in fields.items() if len(values) == 1}
    if len(plain) != len(fields) or not all(FIELD_NAME.fullmatch(name) for name in plain):
        return None
    if get_signature_algorithm(algorithm_header) != HMAC_SHA1 or not _signed(url, plain, signature):
        return None
    provider_id, error = plain.get("MessageSid", ""), plain.get("ErrorCode", "")
    if plain.get("AccountSid") != settings.TWILIO_ACCOUNT_SID or not MESSAGE_SID.fullmatch(provider_id):
        return None
    return Report(provider_id, plain.get("MessageStatus", ""), error if ERROR_CODE.fullmatch(error) else "")


def _signed(url: str, fields: dict[str, str], signature: str) -> bool:
    if not signature or not settings.TWILIO_AUTH_TOKEN:
        return False
    return bool(RequestValidator(settings.TWILIO_AUTH_TOKEN).validate(url, fields, signature))
