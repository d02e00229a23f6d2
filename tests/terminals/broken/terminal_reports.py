"""Terminals that report wrongly, or are careless about what is begun at them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from terminals import jose, ocra
from terminals.conformance.terminal_rules import RULES
from terminals.protocol import TYP_POSSESSION, new_id
from terminals.simulator.asking import Asker
from terminals.simulator.calling import identity_of
from terminals.simulator.checks import Refused
from terminals.simulator.client import Client
from terminals.simulator.outbox import Outbox
from terminals.simulator.rolling import KeyRoll
from terminals.simulator.state import State
from terminals.simulator.till import Till
from terminals.simulator.transport import Answer, Problem
from tests.terminals.broken.terminal import Line, breaks

EVERYTHING = tuple(rule.id for rule in RULES if rule.id != "receipt-names")

# --- receipts ---------------------------------------------------------------------------------------------


class Renames(Outbox):
    """Every receipt names another command."""

    def receipt(self, state: State, now: int, tok: str, named: Any, **outcome: Any) -> Any:
        return super().receipt(
            state, now, tok, {**named, "cid": new_id("cmd")} if named else named, **outcome
        )


class NamesTheUnread(Till):
    def _refuse(self, state: State, token: str, refusal: Refused) -> None:
        if refusal.rc == "bad_signature":
            claims = json.loads(jose.unb64u(token.split(".")[1]))
            refusal.named = {"sub": claims["jti"], "cid": claims["cid"], "seq": claims["seq"]}
        super()._refuse(state, token, refusal)


class OwnTime(Outbox):
    def receipt(self, state: State, now: int, tok: str, named: Any, **outcome: Any) -> Any:
        return super().receipt(state, now - 5000, tok, named, **outcome)


class Drops(Client):
    """Forgets receipts when sending them fails with this status."""

    status = 503

    def flush_receipts(self) -> None:
        try:
            super().flush_receipts()
        except Problem as problem:
            if problem.status == self.status:
                self.till.alter(outbox=[])
            raise


class Receipts(Line):
    """Changes only what is answered to receipts."""

    def outgoing(self, path: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if path == "receipts":
            self.sent = json.loads(more["body"])["receipts"]
        return path, more

    def incoming(self, path: str, answer: Answer) -> Answer:
        if path != "receipts":
            return answer
        return replace(answer, body={"results": self.results(list(answer.body["results"]))})

    def results(self, given: list[Any]) -> list[Any]:
        return given


class FillsUp(Receipts):
    def results(self, given: list[Any]) -> list[Any]:
        return given + [{"jti": "", "r": "ok"}] * (len(self.sent) - len(given))


def _reads(said: str, as_if: str) -> type[Receipts]:
    """A terminal that takes one result for another."""

    def results(self: Receipts, given: list[Any]) -> list[Any]:
        return [{**item, "r": as_if} if item["r"] == said else item for item in given]

    return type("Reads", (Receipts,), {"results": results})


class Chatty(Receipts):
    """Posts something besides that is no receipt, once, in its second request."""

    posts = 0

    def outgoing(self, path: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        self.posts += path == "receipts"
        if path == "receipts" and self.posts == 2:
            items = json.loads(more["body"])["receipts"]
            self.extra = True
            return path, {**more, "body": json.dumps({"receipts": [*items, "no.receipt.atall"]}).encode()}
        self.extra = False
        return path, more

    def results(self, given: list[Any]) -> list[Any]:
        return given[:-1] if self.extra else given


class PostsMany(Client):
    """Until that was refused once."""

    most = 20

    def flush_receipts(self) -> None:
        self._batch = self.most
        try:
            super().flush_receipts()
        except Problem as problem:
            self.most = 8 if problem.status == 400 else self.most
            raise


class ReportsEverySignOn(Till):
    def _report_first_sign_on(self, state: State, operator: Any) -> None:
        reset = operator.reset
        super()._report_first_sign_on(state, operator)
        operator.reset = reset


# Nothing that is reported can be understood then, so nearly every rule fails with it.
breaks("receipt-names", outbox=Renames, besides=EVERYTHING)
breaks("receipt-unread", till=NamesTheUnread)
breaks("receipt-time", outbox=OwnTime)
breaks("receipt-kept", client=Drops)
breaks("receipt-answer-lost", client=type("DropsOn500", (Drops,), {"status": 500}))
breaks("receipt-short-answer", line=FillsUp)
breaks("receipt-dropped", line=_reads("conflict", "invalid"))
breaks("receipt-invalid-kept", line=_reads("invalid", "ok"))
breaks("receipt-batch", client=PostsMany)
breaks("receipt-genuine", line=Chatty)
breaks("receipt-signed-on", till=ReportsEverySignOn)


# --- inventory --------------------------------------------------------------------------------------------


class Inventories(Client):
    """Changes what it tells of itself."""

    def operator(self, entry: dict[str, Any]) -> dict[str, Any]:
        return entry

    def inventory(self) -> dict[str, Any]:
        facts = super().inventory()
        return {**facts, "operators": [self.operator(entry) for entry in facts["operators"]]}


class NumbersAsNumbers(Inventories):
    def operator(self, entry: dict[str, Any]) -> dict[str, Any]:
        return {**entry, "op": int(entry["op"])}


class TellsHashes(Inventories):
    def operator(self, entry: dict[str, Any]) -> dict[str, Any]:
        return {**entry, "password_hash": "…"}


class AlwaysTells(Client):
    def _send_inventory(self) -> None:
        self._inventory_sent = {}
        super()._send_inventory()


breaks("inventory-form", client=NumbersAsNumbers)
breaks("inventory-secrets", client=TellsHashes)
breaks("inventory-rare", client=AlwaysTells)


# --- what somebody begins at the machine ------------------------------------------------------------------


def _names_itself(self: KeyRoll, state: State, sign_key: Any, open_key: Any, now: int) -> str:
    claims = {
        "old": jose.kid16(sign_key),
        "enc": jose.public_jwk(open_key),
        "aud": state.audience,
        "iat": now,
    }
    return jose.sign({**claims, "jti": new_id("tok")}, TYP_POSSESSION, sign_key, embed_jwk=True)


_register = KeyRoll.register


def _gives_up(self: KeyRoll) -> bool:
    try:
        return _register(self)
    except Problem as problem:
        self.give_up(str(problem))
        return False


def _asks_with_a_number(self: Asker, state: State, op: str, now: int) -> None:
    _start(self, state, op[-1:], now)


_start = Asker.start


class AsksForEver(Client):
    """Asks about the last recovery for ever."""

    rid = ""

    def step(self) -> float:
        state = self.till.store.load()
        self.rid = state.asking.rid if state.asking and state.asking.rid else self.rid
        pause = super().step()
        if self.rid:
            self.aside(lambda: self._ask(self.till.store.load()))
        return pause

    def _ask(self, state: State) -> None:
        self.caller.call(identity_of(state), "GET", f"recoveries/{self.rid}")


_make_question = ocra.make_question


def _slips(counter: int) -> str:
    question = _make_question(counter)
    return question[:-1] + str((int(question[-1]) + 1) % 10)


breaks("roll-request", ("terminals.simulator.rolling.KeyRoll.proof", _names_itself), besides=("roll-done",))
breaks("roll-done", ("terminals.simulator.rolling.KeyRoll.register", _gives_up))
breaks("recovery-request", ("terminals.simulator.asking.Asker.start", _asks_with_a_number))
breaks("recovery-followed", client=AsksForEver)
breaks("offline-question", ("terminals.ocra.make_question", _slips))
breaks("offline-answer", ("terminals.simulator.offline.OfflineUnlock.right", lambda *given: True))
