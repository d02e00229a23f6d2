"""What schemathesis is handed so that its cases get past the door: bearers, codes, receipts and the like."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import schemathesis
from hypothesis import strategies as st

from terminals import jose
from terminals.conformance.server_rules.bench import INVENTORY
from terminals.conformance.unit import Unit
from terminals.protocol import TYP_COMMAND, new_id

DRAWN: Final = st.sampled_from(("good", "good", "good", "bearer only", "as generated"))
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)


@schemathesis.serializer("application/jose")
def compact(context: Any, value: Any) -> bytes:
    """A compact token is sent as it is; whatever else was generated, as JSON."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


@dataclass
class Visitors:
    """Paired terminals that take turns, codes that are still good, and what came of all the cases."""

    units: list[Unit]
    codes: list[str]
    recovery: tuple[str, Unit] | None = None
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    place: int = 0
    speaker: Unit | None = None

    def dress(self, case: Any, kind: str) -> None:
        """Give a case a bearer, and a body or path that makes sense, as far as `kind` says."""
        self.place += 1
        unit = self.speaker = self.units[self.place % len(self.units)]
        if kind == "as generated":
            return
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {unit.bearer()}"}
        label = case.operation.label.rpartition("/v1/")[2]
        if label == "commands" and str((case.query or {}).get("wait", "")).strip().isdigit():
            case.query["wait"] = 0  # nobody has the time to be held
        if kind == "bearer only":
            return
        body = self.body(label, unit)
        if body is not None:
            case.body = body
        if label == "recoveries/{rid}" and self.recovery:
            case.path_parameters = {"rid": self.recovery[0]}
            case.headers["Authorization"] = f"Bearer {self.recovery[1].bearer()}"
        if label == "keysets/{version}":
            case.path_parameters = {"version": 1}
        if label == "commands":
            case.query = {**(case.query or {}), "wait": 0, "max": 1 + self.place % 4}

    def body(self, label: str, unit: Unit) -> Any:
        """What a well-behaved terminal sends here; None where there is no body."""
        if label == "enroll":
            return Unit(unit.origin).enroll(self.codes.pop() if self.codes else "BCD-FGH-JKL")
        if label == "keys/roll":
            new = Unit(unit.origin)
            return unit.roll(unit.proof(new.sign_key, new.open_key))
        if label == "receipts":
            made_up = {"jti": new_id("tok"), "cid": new_id("cmd"), "seq": 1 + self.place}
            token = jose.sign(made_up, TYP_COMMAND, unit.sign_key)
            return {"receipts": [unit.receipt(token)]}
        bodies = {
            "enroll/confirm": {"nonce": unit.nonce},
            "inventory": {"inventory": INVENTORY},
            "recoveries": {"op": "01"},
        }
        return bodies.get(label)

    def saw(self, case: Any, answer: Any) -> None:
        """Remember what came, and what later cases can use."""
        label = case.operation.label.rpartition("/v1/")[2]
        self.statuses[label, answer.status_code] += 1
        mine = (case.headers or {}).get("Authorization", "").count(".") == 2
        if label == "recoveries" and answer.status_code == 201 and mine and self.speaker:
            self.recovery = answer.json()["rid"], self.speaker
