"""Servers whose queues, receipts, keysets or manners are broken."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from terminals import jose
from terminals.claims import parse_inventory
from terminals.conformance.memory import Reply, Request
from terminals.headers import parse_telemetry
from terminals.protocol import BODY_MAX, TYP_KEYSET, TYP_RECEIPT, ProtocolError, strict_json
from tests.terminals.broken.server import BROKEN, Whole, breaks, genuine, ours, peek

# --- polls ------------------------------------------------------------------------------------------------


class Offers(Whole):
    """An offer that is changed before it goes out."""

    def changed_offer(self, reply: Reply) -> Reply:
        return reply

    def offered(self, most: int, held: str) -> Reply:
        return self.changed_offer(super().offered(most, held))


@breaks("poll-empty")
class TagsNothing(Offers):
    def changed_offer(self, reply: Reply) -> Reply:
        return Reply(reply.status, reply.body, {"ETag": '"0"', **reply.headers})


@breaks("poll-pace")
class Rushes(Offers):
    def changed_offer(self, reply: Reply) -> Reply:
        pace = reply.headers["Rekey-Poll"].replace("interval=3", "interval=1")
        return Reply(reply.status, reply.body, {**reply.headers, "Rekey-Poll": pace})


@breaks("poll-tokens")
class SaysNoMore(Offers):
    def changed_offer(self, reply: Reply) -> Reply:
        body = {"tokens": reply.body["tokens"]} if isinstance(reply.body, dict) else reply.body
        return Reply(reply.status, body, reply.headers)


@breaks("poll-fast")
class NeverFast(Offers):
    def reset(self, op: str, **changes: Any) -> None:
        super().reset(op, **changes)
        self.fast_until = None


@breaks("poll-query")
class ReadsAnything(Whole):
    def number(self, text: str, most: int) -> int:
        return super().number(text if text.isdigit() else "0", most)


@breaks("poll-telemetry")
class InsistsOnTelemetry(Whole):
    def commands(self, request: Request) -> Reply:
        text = request.headers.get("rekey-telemetry")
        if text and parse_telemetry(text) is None:
            raise ProtocolError("malformed")
        return super().commands(request)


@breaks("poll-held")
class HoldsNothingShort(Whole):
    def number(self, text: str, most: int) -> int:
        return super().number("0" if text == "1" else text, most)


@breaks("poll-stale-etag")
class BelievesOldTags(Whole):
    def commands(self, request: Request) -> Reply:
        if request.headers.get("if-none-match") and not self.tokens:
            time.sleep(2.2)
        return super().commands(request)


@breaks("poll-wakes")
class SleepsOn(Whole):
    def commands(self, request: Request) -> Reply:
        if (
            self.tokens
            or int(request.query.get("wait", "0") if request.query.get("wait") != "soon" else 0) < 2
        ):
            return super().commands(request)
        time.sleep(0.6)
        return Reply(204)


@breaks("poll-304")
class AlwaysTellsAll(Whole):
    def offered(self, most: int, held: str) -> Reply:
        return super().offered(most, "")


@breaks("token-signed")
class SignsOutOfScope(Whole):
    def reset(self, op: str, **changes: Any) -> None:
        super().reset(op, key=self.low, **changes)


@breaks("token-addressed")
class ForAnotherKey(Whole):
    def reset(self, op: str, **changes: Any) -> None:
        super().reset(op, jkt="A" * 16, **changes)


@breaks("token-times")
class LivesForDays(Whole):
    def reset(self, op: str, **changes: Any) -> None:
        super().reset(op, exp=self.now() + 6 * 86_400, **changes)


@breaks("token-sealed")
class SealsForAnother(Whole):
    def seal(self, cid: str, op: str, password: str, /, **changes: Any) -> str:
        return super().seal(cid, "99", password, **changes)


# --- receipts ---------------------------------------------------------------------------------------------


class Receives(Whole):
    """A result that is changed before it goes out."""

    def changed_result(self, item: str, result: str) -> str:
        return result

    def take(self, item: str) -> dict[str, str]:
        taken = super().take(item)
        return {**taken, "r": self.changed_result(item, taken["r"])}


def says(rule: str, instead: str, when: Callable[[Whole, str, str], bool]) -> None:
    """A server that gives another result in some case."""

    class Says(Receives):
        def changed_result(self, item: str, result: str) -> str:
            return instead if when(self, item, result) else result

    BROKEN[rule] = Says


def about(item: str, name: str) -> Any:
    return peek(item)[1].get(name) if item.count(".") == 2 and item != "a.b.c" else None


def known(server: Whole, item: str) -> bool:
    return about(item, "sub") in {command.get("jti") for command in server.issued.values()}


says("receipt-unknown", "ok", lambda s, i, r: r == "unknown" and not known(s, i))
says("receipt-other-bytes", "ok", lambda s, i, r: r == "unknown" and known(s, i))
says("receipt-invalid", "unknown", lambda s, i, r: r == "invalid" and i == "a.b.c")
says("receipt-size", "unknown", lambda s, i, r: r == "invalid" and len(i) > 2048)
says("receipt-deferred", "conflict", lambda s, i, r: about(i, "st") == "deferred")
says("receipt-duplicate", "ok", lambda s, i, r: r == "duplicate")
says("receipt-conflict", "duplicate", lambda s, i, r: r == "conflict")
says(
    "receipt-addressed",
    "unknown",
    lambda s, i, r: (
        r == "invalid" and (about(i, "iss") != s.tid or about(i, "aud") != s.audience) and genuine(s, i)
    ),
)
says(
    "receipt-of-another-key",
    "unknown",
    lambda s, i, r: (
        r == "invalid" and i != "a.b.c" and peek(i)[0]["typ"] == TYP_RECEIPT and not ours(s, peek(i)[0])
    ),
)


@breaks("receipt-batch")
class TakesNine(Whole):
    def take_receipts(self, request: Request) -> Reply:
        body = strict_json(self.body(request))
        items = body["receipts"][:9]
        return Reply(200, {"results": [self.take(str(item)) for item in items]})


@breaks("receipt-applied")
class OffersAgain(Whole):
    def reset(self, op: str, **changes: Any) -> None:
        super().reset(op, **changes)
        self.sticky = True


# --- the rest ---------------------------------------------------------------------------------------------


@breaks("inventory-taken")
class WantsOperators(Whole):
    def put_inventory(self, request: Request) -> Reply:
        reply = super().put_inventory(request)
        if not self.inventory["inventory"]["operators"]:
            raise ProtocolError("malformed")
        return reply


@breaks("inventory-refused-whole")
class OverCharged(Whole):
    def put_inventory(self, request: Request) -> Reply:
        body = request.body.replace(b'"battery": 101', b'"battery": 100')
        return super().put_inventory(Request(request.method, request.path, {}, {}, body, 0))


@breaks("json-strict")
class ReadsNumbersLoosely(Whole):
    def put_inventory(self, request: Request) -> Reply:
        if b"NaN" in request.body:
            parse_inventory(json.loads(request.body))
            return Reply(204)
        return super().put_inventory(request)


@breaks("json-unknown-members")
class KnowsItAll(Whole):
    def put_inventory(self, request: Request) -> Reply:
        if set(strict_json(self.body(request))) != {"inventory"}:
            raise ProtocolError("malformed")
        return super().put_inventory(request)


@breaks("body-too-large")
class ReadsEverything(Whole):
    def body(self, request: Request, most: int = BODY_MAX) -> bytes:
        return request.body if most == BODY_MAX else super().body(request, most)


@breaks("not-found")
class NothingIsGone(Whole):
    def routed(self, request: Request) -> Reply:
        if request.path == "nowhere":
            raise ProtocolError("gone")
        return super().routed(request)


@breaks("method")
class NoSuchMethod(Whole):
    def routed(self, request: Request) -> Reply:
        if request.method == "DELETE":
            raise ProtocolError("not_found")
        return super().routed(request)


@breaks("headers")
class MayBeStored(Whole):
    def usual(self, trace: str) -> dict[str, str]:
        return {"Rekey-Trace": trace}


class Refuses(Whole):
    """A refusal that is changed before it goes out."""

    def changed_refusal(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return body

    def answer(self, request: Request) -> Reply:
        reply = super().answer(request)
        if reply.status < 400 or not isinstance(reply.body, dict):
            return reply
        return Reply(reply.status, self.changed_refusal(request, reply.body), reply.headers)


@breaks("problems")
class SaysNotWhetherToRetry(Refuses):
    def changed_refusal(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name != "retryable"}


@breaks("nothing-leaks")
class RepeatsBearers(Refuses):
    def changed_refusal(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return body | {"detail": request.bearer} if body["code"] == "malformed" else body


@breaks("keyset-public")
class NotForEver(Whole):
    def get_keyset(self, version: str) -> Reply:
        return Reply(200, super().get_keyset(version).body)


@breaks("keyset-immutable")
class SignsAnew(Whole):
    def get_keyset(self, version: str) -> Reply:
        reply = super().get_keyset(version)
        fresh = self.keyset(int(version), more=len(self.requests))
        return Reply(200, jose.sign(fresh, TYP_KEYSET, self.root), reply.headers)


@breaks("keyset-walk")
class LosesItsRoot(Whole):
    def get_keyset(self, version: str) -> Reply:
        if version != "2":
            return super().get_keyset(version)
        stranger = jose.generate_key(jose.SIGN)
        return Reply(200, jose.sign(self.keyset(2), TYP_KEYSET, stranger), {"Cache-Control": "immutable"})


@breaks("recovery-start")
class TellsTheMatch(Whole):
    def start_recovery(self, request: Request) -> Reply:
        reply = super().start_recovery(request)
        assert isinstance(reply.body, dict)
        address = f"{reply.body['verification_uri_complete']}/{reply.body['match']}"
        return Reply(201, {**reply.body, "verification_uri_complete": address})


@breaks("recovery-state")
class KnowsEveryRecovery(Whole):
    def get_recovery(self, rid: str) -> Reply:
        return Reply(200, {"state": "pending"})


@breaks("recovery-malformed")
class AnyOperator(Whole):
    def start_recovery(self, request: Request) -> Reply:
        if strict_json(request.body).get("op") == "3":
            return Reply(201, {})
        return super().start_recovery(request)


@breaks("recovery-limit")
class NeverTired(Whole):
    def start_recovery(self, request: Request) -> Reply:
        self.recoveries.clear()
        return super().start_recovery(request)
