"""A machine fresh from its box: it makes its keys and enrolls over the real API."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from terminals import jose
from terminals.claims import parse_challenge
from terminals.models import Terminal
from terminals.protocol import TYP_ENROLL
from tests.cast import PairedTill, audience


@dataclass
class Unit:
    """The keys of a machine, and what it says with them."""

    sign_key: dict[str, str] = field(default_factory=lambda: jose.generate_key(jose.SIGN))
    open_key: dict[str, str] = field(default_factory=lambda: jose.generate_key(jose.SEAL))
    client: Client = field(default_factory=Client)

    def request(self, code: str, **changes: Any) -> str:
        """An enrollment request; a change to None removes the claim."""
        now = int(time.time())
        claims = {
            "aud": audience(), "iat": now, "exp": now + 300, "jti": "j" * 16, "code": code,
            "enc": jose.public_jwk(self.open_key), "fw": "4.2.1",
            "cap": {"keypad": "digits", "cmds": ["set_credential"]},
            "hw": {"vendor": "Rekey", "model": "RK-100", "serial": "RK20260001"},
        }  # fmt: skip
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jose.sign(claims, TYP_ENROLL, self.sign_key, embed_jwk=True)

    def enroll(self, code: str, **changes: Any) -> Any:
        """Ask to be paired."""
        return self.post("enroll", self.request(code, **changes), "application/jose")

    def confirm(self, answer: Any) -> Any:
        """Open the challenge and send the nonce back."""
        given = answer.json()
        opened = jose.open_sealed(given["challenge"], self.open_key, given["tid"])
        body = {"nonce": parse_challenge(opened).nonce}
        return self.post("enroll/confirm", body, till=self.as_till(given["tid"]))

    def pair(self, code: str) -> PairedTill:
        """Both steps."""
        answer = self.enroll(code)
        assert answer.status_code == 201, answer.content
        assert self.confirm(answer).status_code == 200
        return self.as_till(answer.json()["tid"])

    def as_till(self, tid: str) -> PairedTill:
        """The machine as the cast knows paired ones."""
        return PairedTill(Terminal.objects.get(pk=tid), self.sign_key, self.open_key)

    def post(
        self, path: str, body: Any, content_type: str = "application/json", till: PairedTill | None = None
    ) -> Any:
        """One request to the terminal API."""
        headers = till.authorization() if till else {}
        return self.client.post(f"/terminal/v1/{path}", body, content_type=content_type, headers=headers)
