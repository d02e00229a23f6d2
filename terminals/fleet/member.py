"""One terminal of a fleet at work: it polls, judges, applies and reports by the same rules as a real one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Final

from terminals import jose
from terminals.fleet.shared import PATIENCE_S, Shared
from terminals.fleet.unit import FIRMWARE, Unit
from terminals.fleet.wire import Answer, Line, Unanswered
from terminals.headers import Telemetry
from terminals.protocol import (
    APPLIED,
    FACTORY_RESET,
    RC_UNREAD,
    RECEIPTS_PER_POST,
    REJECTED,
    TOKENS_PER_POLL,
    ProtocolError,
    strict_json,
)
from terminals.simulator.checks import AlreadyDone, Refused, check, names_unknown_key
from terminals.simulator.outbox import Outbox
from terminals.simulator.pacing import Pace
from terminals.simulator.state import Done, Outgoing, State

# Of what was dealt with, a fleet remembers less than a terminal must: it has thousands of them in memory.
DONE_MAX: Final = 4


class Turned(Exception):
    """The server refused the request: its status, and how long to stay away."""

    def __init__(self, status: int, retry_after: int | None) -> None:
        super().__init__(str(status))
        self.status = status
        self.retry_after = retry_after


class Member:
    """Keys, line, pace and outbox of one terminal."""

    __slots__ = ("_bearer", "_done", "_etag", "_line", "_outbox", "_pace", "_renew_at", "_shared", "unit")

    def __init__(self, unit: Unit, shared: Shared) -> None:
        self.unit = unit
        self._shared = shared
        self._line: Line | None = None
        self._pace = Pace()
        self._bearer = ""
        self._renew_at = 0
        self._etag = ""
        self._done: list[Done] = []
        self._outbox: list[Outgoing] = []

    async def live(self, first_after: float) -> None:
        """Poll by the server's pace until cancelled."""
        await asyncio.sleep(first_after)
        try:
            while True:
                pause = await self._turn()
                await asyncio.sleep(pause)
        finally:
            self._hang_up()

    async def _turn(self) -> float:
        """One round; returns the seconds to wait, whatever happened."""
        cap = self._shared.interval_cap
        try:
            more = await self._round()
        except Turned as refusal:
            self._shared.figures.errors[f"status {refusal.status}"] += 1
            if refusal.status == 429:
                self._pace.slow_down()
            self._bearer = self._etag = ""
            return self._pace.back_off(refusal.retry_after, cap)
        except (Unanswered, TimeoutError, ProtocolError) as error:
            self._shared.figures.errors[f"{type(error).__name__} {error}".strip()] += 1
            self._etag = ""
            self._hang_up()
            return self._pace.back_off(None, cap)
        self._pace.failures = 0
        return 0 if more else self._pace.pause(time.time(), cap)

    async def _round(self) -> bool:
        """Report, poll, obey, report; whether there is more to fetch at once."""
        await self._report()
        answer = await self._poll()
        self._pace.obey(answer.headers.get("rekey-poll", ""))
        if answer.status != 304:
            self._etag = answer.headers.get("etag", "")
        if answer.status != 200:
            return False
        body = strict_json(answer.body)
        for token in body.get("tokens", [])[:TOKENS_PER_POLL]:
            await self._receive(str(token))
        await self._report()
        return body.get("more") is True

    # --- requests -----------------------------------------------------------------------------------------

    async def _poll(self) -> Answer:
        figures, wait = self._shared.figures, int(min(self._pace.wait, self._shared.wait_cap))
        telemetry = Telemetry(
            pv=1, fw=FIRMWARE, hwm=self.unit.hwm, ks=self._shared.trust.keyset["ver"], batch=False, idle=True
        )
        headers = {"Rekey-Telemetry": telemetry.header()}
        if self._etag:
            headers["If-None-Match"] = self._etag
        began = time.monotonic()
        figures.held += 1
        try:
            answer = await self._call(
                "GET", f"commands?wait={wait}&max={TOKENS_PER_POLL}", headers, wait=wait
            )
        finally:
            figures.held -= 1
        took = time.monotonic() - began
        figures.polls += 1
        # How long an answer takes beyond what was asked for; news in between may come at any time.
        if took >= wait:
            figures.latencies.append(took - wait)
        return answer

    async def _report(self) -> None:
        while batch := self._outbox[:RECEIPTS_PER_POST]:
            body = json.dumps({"receipts": [item.receipt for item in batch]}).encode()
            answer = await self._call("POST", "receipts", {"Content-Type": "application/json"}, body)
            results = strict_json(answer.body).get("results", [])
            for result in results:
                if result.get("r") in ("invalid", "unknown", "conflict"):
                    self._shared.figures.errors[f"receipt {result['r']}"] += 1
            self._shared.figures.reported += len(batch)
            del self._outbox[: len(batch)]

    async def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, wait: float = 0
    ) -> Answer:
        """An authenticated request, sent once more if the line was closed meanwhile. Raises Turned."""
        authorization = {"Authorization": f"Bearer {self._authorization()}"}
        request = self._shared.server.request(method, path, authorization | dict(headers), body)
        fresh = self._line is None or not self._line.alive
        try:
            answer = await self._exchange(request, wait)
        except Unanswered:
            if fresh:
                raise
            answer = await self._exchange(request, wait)
        self._shared.figures.answers[answer.status] += 1
        if answer.status not in (200, 204, 304):
            retry = answer.headers.get("retry-after", "")
            raise Turned(answer.status, int(retry) if retry.isdecimal() else None)
        return answer

    async def _exchange(self, request: bytes, wait: float) -> Answer:
        if self._line is None or not self._line.alive:
            self._line = await self._shared.server.connect(PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S + wait):
            return await self._line.ask(request)

    def _authorization(self) -> str:
        now = int(time.time())
        if not self._bearer or now >= self._renew_at:
            self._bearer, self._renew_at = self.unit.bearer(self._shared.server.origin, now)
        return self._bearer

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    # --- commands -----------------------------------------------------------------------------------------

    async def _receive(self, token: str) -> None:
        if names_unknown_key(token, self._shared.trust):
            await self._shared.walk()
        state = self._shared.state_of(self.unit)
        state.done, state.outbox = self._done, self._outbox
        self._judge(token, state)
        self.unit.hwm, self._done, self._outbox = state.hwm, state.done[-DONE_MAX:], state.outbox

    def _judge(self, token: str, state: State) -> None:
        figures, outbox, now, tok = self._shared.figures, Outbox(), int(time.time()), jose.digest(token)
        try:
            claims = check(token, state, now).claims
            named: dict[str, str | int] = {"sub": claims.jti, "cid": claims.cid, "seq": claims.seq}
            _decline(claims.cmd, named)
        except AlreadyDone as again:
            figures.repeated += 1
            outbox.resend(state, again.done, tok)
        except Refused as refusal:
            figures.refused += 1
            _refuse(state, outbox, now, tok, refusal)
        else:
            figures.carried_out(self.unit.tid, claims.cid)
            state.hwm = claims.seq
            outbox.finish(state, now, tok, named, st=APPLIED)


def _decline(cmd: str, named: Mapping[str, str | int]) -> None:
    """A fleet is not wiped: whoever stands before it declines."""
    if cmd == FACTORY_RESET:
        raise Refused("user_declined", named, spends=True)


def _refuse(state: State, outbox: Outbox, now: int, tok: str, refusal: Refused) -> None:
    if refusal.spends:
        state.hwm = max(state.hwm, int(refusal.named["seq"]))
        outbox.finish(state, now, tok, refusal.named, st=REJECTED, rc=refusal.rc)
    elif refusal.named or refusal.rc in RC_UNREAD:
        outbox.receipt(state, now, tok, refusal.named, st=REJECTED, rc=refusal.rc)
