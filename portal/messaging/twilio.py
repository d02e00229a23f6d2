"""Text messages through Twilio's Messages API with its official client."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from requests.exceptions import ConnectionError as ConnectionFailed
from requests.exceptions import ConnectTimeout, RequestException, Timeout
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.exceptions import NewConnectionError

from portal.messaging.gateways import Accepted, GatewayError, error_for
from portal.messaging.reports import ERROR_CODE, MESSAGE_SID


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
