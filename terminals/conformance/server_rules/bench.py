"""Where rules for a server are tried: its address, a unit to speak as, and what was learnt on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from terminals import jose, pairing
from terminals.claims import KeysetClaims
from terminals.conformance.calling import Heard, call
from terminals.conformance.hands import Nobody
from terminals.conformance.rules import CannotTell
from terminals.conformance.unit import Unit

INVENTORY: dict[str, Any] = {
    "operators": [
        {"op": "00", "role": "supervisor", "locked": False, "tries_left": 5},
        {"op": "03", "role": "ordinary", "locked": False, "age_days": 40, "tries_left": 5, "weak": "default"},
    ],
    "fw": "1.0.0",
    "battery": 83,
    "unsettled_batch": False,
}


@dataclass
class ServerBench:
    """One server under test. `code` is what its owner was shown: typed, or the text of the QR."""

    origin: str
    code: str
    owner: Nobody = field(default_factory=Nobody)
    root: str = ""
    unit: Unit = field(init=False)
    keyset_token: str = ""
    keyset: KeysetClaims | None = None
    roots: tuple[dict[str, Any], ...] = ()
    token: str = ""
    heard: list[Heard] = field(default_factory=list)
    confirmed: bool = False

    def __post_init__(self) -> None:
        scanned = pairing.parse_qr(self.code)
        if scanned:
            self.origin, self.code, self.root = scanned.origin, scanned.code, scanned.root
        self.unit = Unit(self.origin)

    # --- asking -----------------------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        bearer: str | None = "",
        what: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Heard:
        """One request; a body that is no text or bytes goes as JSON. Without `bearer` a good one is made."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if bearer is not None:
            sent["Authorization"] = f"Bearer {bearer or self.unit.bearer()}"
        answer = call(self.origin, method, path, (raw_body(body), sent), what)
        self.heard.append(answer)
        return answer

    def enroll(self, token: str, what: str) -> Heard:
        """`POST enroll` with this request."""
        headers = {"Content-Type": "application/jose"}
        return self.ask("POST", "enroll", token, bearer=None, what=what, headers=headers)

    def poll(self, query: str = "wait=0&max=4", *, what: str = "", **headers: str) -> Heard:
        """`GET commands`; underscores in header names become hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", f"commands?{query}", what=what, headers=named)

    def report(self, *receipts: str, what: str = "") -> Heard:
        """`POST receipts` with these; the answer must have one result for each."""
        answer = self.ask("POST", "receipts", {"receipts": list(receipts)}, what=what).wanted(200)
        results = answer.body.get("results")
        if not isinstance(results, list) or len(results) != len(receipts):
            raise answer.broken(f"200 with {len(receipts)} results, one for each receipt, in order")
        return answer

    def tell_inventory(self, inventory: object = None, *, bearer: str = "", what: str = "") -> Heard:
        """`PUT inventory`."""
        body = {"inventory": INVENTORY} if inventory is None else inventory
        return self.ask("PUT", "inventory", body, bearer=bearer, what=what)

    # --- what is needed first ---------------------------------------------------------------------------

    def paired(self) -> Unit:
        """The unit, once its keys are confirmed. Raises CannotTell."""
        if not self.confirmed:
            raise CannotTell("the pairing has not succeeded")
        return self.unit

    def command(self) -> str:
        """A token of a command that the owner was asked to issue; always the same one. Raises CannotTell."""
        self.paired()
        if not self.token:
            answer = self.poll(what="before the owner was asked for a command")
            if answer.status != 200:
                self.owner.act("reset", self.unit.tid, "03")
                answer = self.poll("wait=50&max=4", what="held, after the owner issued a command")
            tokens = answer.body.get("tokens") or [""]
            self.token = tokens[0] if isinstance(tokens[0], str) else ""
        if not self.token:
            raise CannotTell("no command came, although the owner says that one was issued")
        return self.token

    def issuer_keys(self) -> dict[str, dict[str, Any]]:
        """The keys of the newest keyset we hold, by `kid`."""
        return {jose.kid16(key.jwk): key.jwk for key in self.keyset.keys} if self.keyset else {}


def raw_body(body: object) -> bytes | None:
    """What goes over the line."""
    if body is None or isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def result_of(answer: Heard, place: int = 0) -> str:
    """The `r` of one receipt's result; empty if there is none."""
    results = answer.body.get("results", [])
    item = results[place] if place < len(results) else {}
    return str(item.get("r", "")) if isinstance(item, dict) else ""


def wanted_result(answer: Heard, wanted: str, place: int = 0) -> None:
    """Raises Broken unless that receipt got this result."""
    if result_of(answer, place) != wanted:
        raise answer.broken(f'"r": "{wanted}" for receipt {place + 1}')
