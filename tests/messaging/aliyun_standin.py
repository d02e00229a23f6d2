"""A stand-in for Aliyun's SendSms on loopback: it checks the signature as the reference describes it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlsplit

from tests.messaging.standin import Handler, Problem, StandIn

KEY_ID = "LTAI" + "5t" * 10
KEY_SECRET = "s" * 30
SIGN_NAME = "收银找回"
TEMPLATES = {"code": "SMS_100001", "code.en": "SMS_100002", "applied": "SMS_100003"}
AUTHORIZATION = re.compile(
    r"ACS3-HMAC-SHA256 Credential=([A-Za-z0-9]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})"
)
MOBILE = re.compile(r"1[3-9][0-9]{9}")


class SendSmsHandler(Handler):
    """POST / with everything in the query, as the RPC style has it."""

    def do_POST(self) -> None:
        """Judge one request."""
        self.standin.requests += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if refusal := self.unsigned(query, body):
            self.refuse(400, refusal)
        elif (self.headers["x-acs-action"], self.headers["x-acs-version"]) != ("SendSms", "2017-05-25"):
            self.refuse(404, "InvalidAction.NotFound")
        elif refusal := self.wrong(query):
            self.refuse(200, refusal)
        elif self.standin.named:
            self.refuse(200, self.standin.named.popleft())
        elif self.standin.problems:
            self.follow(self.standin.problems.popleft(), query)
        else:
            self.take(query)

    def unsigned(self, query: dict[str, str], body: bytes) -> str:
        """What is wrong with the signature; "" when nothing is."""
        found = AUTHORIZATION.fullmatch(self.headers.get("Authorization", ""))
        if found is None or found[1] != KEY_ID:
            return "InvalidAccessKeyId.NotFound"
        asked = "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query))
        heads = "".join(f"{name}:{self.headers[name].strip()}\n" for name in found[2].split(";"))
        digest = hashlib.sha256(body).hexdigest()
        canonical = "\n".join(["POST", "/", asked, heads, found[2], digest])
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        wanted = hmac.new(KEY_SECRET.encode(), text.encode(), "sha256").hexdigest()
        return "" if hmac.compare_digest(wanted, found[3]) else "SignatureDoesNotMatch"

    def wrong(self, query: dict[str, str]) -> str:
        """What is wrong with the text; "" when nothing is."""
        if not MOBILE.fullmatch(query.get("PhoneNumbers", "")):
            return "isv.MOBILE_NUMBER_ILLEGAL"
        if query.get("SignName") != SIGN_NAME:
            return "isv.SMS_SIGNATURE_ILLEGAL"
        if query.get("TemplateCode") not in TEMPLATES.values():
            return "isv.SMS_TEMPLATE_ILLEGAL"
        values = json.loads(query["TemplateParam"])
        assert all(isinstance(value, str) for value in values.values())
        return ""

    def fail(self, problem: Problem) -> None:
        """By a name: out of order, or too many."""
        self.refuse(problem.status, "ServiceUnavailable" if problem.status >= 500 else "Throttling.User")

    def take(self, query: dict[str, str]) -> None:
        """OK, and the number of the text."""
        self.standin.accepted.append(query)
        self.standin.numbers.append(f"{secrets.randbelow(10**18):018}^0")
        told = {
            "Code": "OK",
            "Message": "OK",
            "BizId": self.standin.numbers[-1],
            "RequestId": secrets.token_hex(16),
        }
        self.answer(200, json.dumps(told).encode())

    def refuse(self, status: int, code: str) -> None:
        """A refusal; it repeats the number, as real ones do, so that tests see whether it leaks."""
        told = {"Code": code, "Message": "refused for 13800002046", "RequestId": secrets.token_hex(16)}
        self.answer(status, json.dumps(told).encode())


@dataclass
class AliyunStandIn(StandIn):
    """Aliyun; `accepted` holds parameters of the query, `named` refusals to give by name."""

    named: deque[str] = field(default_factory=deque)

    handler = SendSmsHandler
