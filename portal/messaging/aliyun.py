"""Text messages through Alibaba Cloud's Dysmsapi with its official SDK, for phones in mainland China."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_dysmsapi20170525.models import SendSmsRequest
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException, ThrottlingException
from alibabacloud_tea_openapi.models import Config
from darabonba.runtime import RuntimeOptions
from django.conf import settings

from portal.messaging.gateways import Accepted, GatewayError, Parcel, error_for
from portal.messaging.reports import BIZ_ID, CARRIER_CODE
from portal.messaging.silence import error_of

HOME = "+86"
# The SDK logs whole addresses, with phone and code in them, to a handler of its own when DEBUG=sdk is set.
for chatty in ("darabonba-core", "alibabacloud-tea"):
    logging.getLogger(chatty).handlers.clear()
    logging.getLogger(chatty).setLevel(logging.CRITICAL)


class AliyunGateway:
    """Carries texts by templates that are registered there; our own words are not sent."""

    name = "aliyun"

    def send(self, parcel: Parcel) -> Accepted:
        """Hand over one text. Raises GatewayError, without what the provider said, for it repeats numbers."""
        registered = template_of(parcel.template, parcel.locale)
        if not registered:
            raise error_for("unregistered")
        asked = SendSmsRequest(
            phone_numbers=parcel.to.removeprefix(HOME).removeprefix("+"),
            sign_name=settings.ALIYUN_SIGN_NAME,
            template_code=registered,
            template_param=json.dumps(dict(parcel.values), ensure_ascii=False),
            out_id=parcel.reference,
        )
        try:
            answer = _client().send_sms_with_options(asked, _patience())
            return _taken(answer.body)
        except GatewayError:
            raise
        except ThrottlingException:
            raise error_for("20429") from None
        except AlibabaCloudException as error:
            raise _refusal(error) from None
        except Exception as error:  # noqa: BLE001 - the SDK lets through whatever went wrong inside it
            raise error_of(_cause(error)) from None


def template_of(template: str, locale: str) -> str:
    """The number under which a text is registered there: for this language, else for all; empty for none."""
    registered: dict[str, str] = settings.ALIYUN_TEMPLATES
    return registered.get(f"{template}.{locale}") or registered.get(template, "")


def _client() -> Client:
    place = urlsplit(settings.ALIYUN_ENDPOINT)
    return Client(
        Config(
            access_key_id=settings.ALIYUN_ACCESS_KEY_ID,
            access_key_secret=settings.ALIYUN_ACCESS_KEY_SECRET,
            endpoint=place.netloc,
            protocol=place.scheme,
        )
    )


def _patience() -> RuntimeOptions:
    within = int(settings.ALIYUN_TIMEOUT * 1000)
    return RuntimeOptions(read_timeout=within, connect_timeout=within, autoretry=False)


def _taken(body: Any) -> Accepted:
    code, number = getattr(body, "code", None), getattr(body, "biz_id", None)
    if code == "OK" and isinstance(number, str) and BIZ_ID.fullmatch(number):
        return Accepted(number)
    if isinstance(code, str) and code != "OK":
        raise _error_named(code)
    raise error_for("garbled")


def _refusal(error: AlibabaCloudException) -> GatewayError:
    if (error.status_code or 0) >= 500:
        return error_for("server")
    if error.status_code == 429:
        return error_for("20429")
    return _error_named(str(error.code or ""))


def _error_named(code: str) -> GatewayError:
    if code.startswith("Throttling"):
        return error_for("20429")
    if code == "isp.SYSTEM_ERROR":
        return error_for("server")
    return error_for(code if CARRIER_CODE.fullmatch(code) else "garbled")


def _cause(error: BaseException) -> BaseException | None:
    """What the SDK wrapped: the transport's own exception lies somewhere beneath."""
    beneath: BaseException | None = error
    while beneath is not None and not isinstance(beneath, OSError):
        inner = getattr(beneath, "inner_exception", None)
        beneath = inner if isinstance(inner, BaseException) else beneath.__context__
    return beneath
