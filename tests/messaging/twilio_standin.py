"""A stand-in for Twilio's Messages and Calls on loopback, strict about what its public reference asks for."""

from __future__ import annotations

import base64
import json
import re
import secrets
from urllib.parse import parse_qs

from tests.messaging.standin import Handler, Problem, StandIn

SID = "AC" + "0a" * 16
TOKEN = "f" * 32
SENDER = "+15005550006"
E164 = re.compile(r"\+[1-9][0-9]{7,14}")
LANDLINE = re.compile(r"\+86(?!1[3-9])[0-9]+")
REQUIRED = {
    "Messages": (("To", 21604), ("From", 21603), ("Body", 21602)),
    "Calls": (("To", 21201), ("From", 21213), ("Twiml", 21205)),
}


class MessagesHandler(Handler):
    """POST /2010-04-01/Accounts/{sid}/Messages.json, and the same for Calls."""

    def do_POST(self) -> None:
        """Judge one request the way the public API does."""
        self.standin.requests += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path not in {f"/2010-04-01/Accounts/{SID}/{kind}.json" for kind in REQUIRED}:
            self.refuse(404, 20404)
        elif (
            self.headers.get("Authorization")
            != "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        ):
            self.refuse(401, 20003)
        elif self.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            self.refuse(400, 20001)
        else:
            fields = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True)
            self.judge({name: values[0] for name, values in fields.items()})

    @property
    def kind(self) -> str:
        """Messages or Calls."""
        return self.path.rpartition("/")[2].removesuffix(".json")

    def judge(self, fields: dict[str, str]) -> None:
        """Fields first, then whatever problem was ordered, then success."""
        for name, code in REQUIRED[self.kind]:
            if not fields.get(name):
                self.refuse(400, code)
                return
        if not E164.fullmatch(fields["To"]):
            self.refuse(400, 21211)
        elif self.kind == "Messages" and LANDLINE.fullmatch(fields["To"]):
            self.refuse(400, 21614)
        elif not re.fullmatch(r"https?://[^\s]+", fields.get("StatusCallback", "https://x")):
            self.refuse(400, 21609)
        elif self.standin.problems:
            self.follow(self.standin.problems.popleft(), fields)
        else:
            self.take(fields)

    def fail(self, problem: Problem) -> None:
        """With the error document of the code."""
        self.refuse(problem.status, problem.code)

    def take(self, fields: dict[str, str]) -> None:
        """201 with the message as Twilio describes it."""
        self.standin.accepted.append(fields)
        self.standin.numbers.append(("SM" if self.kind == "Messages" else "CA") + secrets.token_hex(16))
        message = {
            "sid": self.standin.numbers[-1],
            "account_sid": SID,
            "to": fields["To"],
            "from": fields["From"],
            "body": fields.get("Body", ""),
            "status": "queued",
            "direction": "outbound-api",
            "num_segments": "1",
            "error_code": None,
            "error_message": None,
            "date_created": "Tue, 24 Nov 2026 10:00:00 +0000",
            "date_updated": "Tue, 24 Nov 2026 10:00:00 +0000",
            "date_sent": None,
            "uri": self.path,
        }
        self.answer(201, json.dumps(message).encode())

    def refuse(self, status: int, code: int | None) -> None:
        """An error document; it repeats the number, as real ones do, so that tests see whether it leaks."""
        problem = {"code": code, "message": "refused for +8613800002046", "status": status}
        self.answer(status, json.dumps(problem).encode())


class TwilioStandIn(StandIn):
    """Twilio; `accepted` holds form fields."""

    handler = MessagesHandler
