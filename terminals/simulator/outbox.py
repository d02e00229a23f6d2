"""Receipts: signed, kept until the server has taken them, and kept longer for tokens that come again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from terminals import jose
from terminals.protocol import APPLIED, DONE_RING, OFFLINE, TYP_RECEIPT, new_id
from terminals.simulator.state import Done, Outgoing, State, Token

FULL: Final = 256
REFUSALS_MAX: Final = 3


class Outbox:
    """What the terminal signs about what it did. Every method changes the state it is given."""

    def receipt(self, state: State, now: int, tok: str, named: Mapping[str, Any], **outcome: Any) -> Outgoing:
        """Sign a receipt and put it into the outbox."""
        jti = new_id("rcp")
        claims = {"iss": state.tid, "aud": state.audience, "iat": now, "jti": jti, **named, "tok": tok}
        claims |= {**outcome, "at": now, "hwm": state.hwm}
        outgoing = Outgoing(jti, jose.sign(claims, TYP_RECEIPT, state.sign_key), tok)
        state.outbox.append(outgoing)
        return outgoing

    def finish(self, state: State, now: int, tok: str, named: Mapping[str, Any], **outcome: Any) -> Outgoing:
        """The last word on a token: what was deferred before is not worth sending any more."""
        state.outbox = [item for item in state.outbox if item.tok != tok]
        receipt = self.receipt(state, now, tok, named, **outcome)
        self.remember(state, Done(named["sub"], named["cid"], outcome["st"], receipt.jti, receipt.receipt))
        state.waits.pop(named["cid"], None)
        return receipt

    def begun(self, state: State, token: Token) -> None:
        """Remember a token whose receipt is due only later, so that it is not carried out twice."""
        self.remember(state, Done(token.jti, token.cid, APPLIED, "", ""))
        state.waits.pop(token.cid, None)

    def remember(self, state: State, done: Done) -> None:
        """Keep the last ones; a token that was begun is replaced by how it ended."""
        state.done = [*(item for item in state.done if item.jti != done.jti), done][-DONE_RING:]

    def offline(self, state: State, now: int, question: str, counter: int) -> Outgoing:
        """The receipt that is due for an offline unlock."""
        return self.receipt(state, now, jose.digest(question), {"sub": OFFLINE, "oc": counter}, st=APPLIED)

    def resend(self, state: State, done: Done, tok: str) -> None:
        """The same bytes again, unless they wait already."""
        if done.receipt and all(item.jti != done.receipt_jti for item in state.outbox):
            state.outbox.append(Outgoing(done.receipt_jti, done.receipt, tok))

    def settle(self, state: State, sent: Collection[str], refused: Collection[str]) -> None:
        """Drop what the server has taken, and what it has refused three times."""
        for item in state.outbox:
            item.refusals += item.jti in refused
        state.outbox = [
            item
            for item in state.outbox
            if item.jti not in sent or (item.jti in refused and item.refusals < REFUSALS_MAX)
        ]

    def sign_anew(self, state: State, old_key: Mapping[str, Any]) -> None:
        """After a change of keys nobody can verify the old signatures: say the same by the new key."""
        known = {jose.kid16(old_key): jose.public_jwk(old_key)}
        waiting, state.outbox = state.outbox, []
        for item in waiting:
            claims = jose.verify(item.receipt, TYP_RECEIPT, known, 2048)
            claims |= {"jti": new_id("rcp"), "hwm": state.hwm}
            receipt = jose.sign(claims, TYP_RECEIPT, state.sign_key)
            state.outbox.append(Outgoing(claims["jti"], receipt, item.tok))
        for done in state.done:
            done.receipt_jti = done.receipt = ""
