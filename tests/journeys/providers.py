"""Both gateways as the journeys meet them: over HTTP, told in the same words how to fail."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from tests.messaging import aliyun_standin, twilio_standin
from tests.messaging.aliyun_standin import AliyunStandIn
from tests.messaging.standin import Problem, StandIn
from tests.messaging.twilio_standin import TwilioStandIn

TIMEOUT_S = 4.0


class Provider(Protocol):
    """One provider, and whose phone it carries to."""

    @property
    def standin(self) -> StandIn:
        """Where it listens, and what it took."""

    def settings(self) -> dict[str, str]:
        """What an installation that uses it is told."""

    def code(self) -> str:
        """The code in what it took last."""

    def refuse_number(self) -> None:
        """The next one is refused: nobody has this number."""

    def report_delivered(self, origin: str, *, forged: bool) -> int:
        """Say that the last one has arrived, or let somebody else say so; the status of the answer."""


@dataclass
class Twilio:
    """It names its texts, and signs what it says of them."""

    standin: TwilioStandIn

    def settings(self) -> dict[str, str]:
        """Texts through it, reports to where the installation answers."""
        return {
            "SMS_GATEWAY": "twilio",
            "TWILIO_ACCOUNT_SID": twilio_standin.SID,
            "TWILIO_AUTH_TOKEN": twilio_standin.TOKEN,
            "TWILIO_FROM": twilio_standin.SENDER,
            "TWILIO_API_BASE": self.standin.base,
            "TWILIO_CALLBACK_ORIGIN": "https://rekey.example",
            "TWILIO_TIMEOUT": str(TIMEOUT_S),
        }

    def code(self) -> str:
        """The digits at the beginning of its words."""
        return "".join(filter(str.isdigit, self.standin.accepted[-1]["Body"]))[:6]

    def refuse_number(self) -> None:
        """21211."""
        self.standin.problems.append(Problem(400, 21211))

    def report_delivered(self, origin: str, *, forged: bool) -> int:
        """A form, signed over the address that it was given."""
        url = self.standin.accepted[-1]["StatusCallback"]
        fields = {
            "AccountSid": twilio_standin.SID,
            "MessageSid": self.standin.numbers[-1],
            "MessageStatus": "delivered",
        }
        key = secrets.token_hex(8) if forged else twilio_standin.TOKEN
        text = url + "".join(name + fields[name] for name in sorted(fields))
        signature = base64.b64encode(hmac.new(key.encode(), text.encode(), "sha1").digest()).decode()
        here = url.replace("https://rekey.example", origin)
        return httpx.post(here, data=fields, headers={"X-Twilio-Signature": signature}).status_code


@dataclass
class Aliyun:
    """It carries our own reference along, and knows a key in the address."""

    standin: AliyunStandIn
    key: str = "k" * 40

    def settings(self) -> dict[str, str]:
        """Texts at home through it; whatever else goes through the console."""
        templates = ",".join(f"{name}={code}" for name, code in aliyun_standin.TEMPLATES.items())
        return {
            "SMS_GATEWAY": "console",
            "SMS_ROUTES": "86=aliyun",
            "ALIYUN_ACCESS_KEY_ID": aliyun_standin.KEY_ID,
            "ALIYUN_ACCESS_KEY_SECRET": aliyun_standin.KEY_SECRET,
            "ALIYUN_SIGN_NAME": aliyun_standin.SIGN_NAME,
            "ALIYUN_TEMPLATES": templates,
            "ALIYUN_ENDPOINT": self.standin.base,
            "ALIYUN_TIMEOUT": str(TIMEOUT_S),
            "ALIYUN_REPORT_KEY": self.key,
        }

    def code(self) -> str:
        """A value of its template."""
        found: str = json.loads(self.standin.accepted[-1]["TemplateParam"])["code"]
        return found

    def refuse_number(self) -> None:
        """By its name."""
        self.standin.named.append("isv.MOBILE_NUMBER_ILLEGAL")

    def report_delivered(self, origin: str, *, forged: bool) -> int:
        """One of a heap."""
        taken = self.standin.accepted[-1]
        told: dict[str, Any] = {
            "phone_number": taken["PhoneNumbers"],
            "success": True,
            "err_code": "DELIVERED",
            "biz_id": self.standin.numbers[-1],
            "out_id": taken["OutId"],
            "send_time": "2026-11-24 20:00:00",
            "report_time": "2026-11-24 20:00:05",
        }
        key = secrets.token_hex(20) if forged else self.key
        return httpx.post(f"{origin}/sms/reports/aliyun?key={key}", json=[told]).status_code
