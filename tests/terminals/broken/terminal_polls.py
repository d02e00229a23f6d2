"""Terminals that ask too often, too late, or follow keysets they should not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from terminals import jose
from terminals.protocol import TYP_KEYSET
from terminals.simulator.client import Client
from terminals.simulator.keysets import Trust
from terminals.simulator.pacing import Pace
from terminals.simulator.state import State
from terminals.simulator.transport import Answer, Unreachable
from tests.terminals.broken.terminal import Line, breaks, headed

# --- polls ------------------------------------------------------------------------------------------------


class Polls(Line):
    """Changes only polls."""

    def outgoing(self, path: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return self.poll(path, more) if path.startswith("commands") else (path, more)

    def incoming(self, path: str, answer: Answer) -> Answer:
        return self.polled(answer) if path.startswith("commands") else answer

    def poll(self, path: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return path, more

    def polled(self, answer: Answer) -> Answer:
        return answer


class AsksTooLong(Polls):
    def poll(self, path: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "commands?wait=99&max=4", more


class Mumbles(Polls):
    def poll(self, path: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return path, headed(more, Rekey_Telemetry="((")


class ForgetsTags(Polls):
    def poll(self, path: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return path, headed(more, If_None_Match=None)


class ClingsToTags(Polls):
    held, empty = "", False

    def poll(self, path: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return path, headed(more, If_None_Match=self.held) if self.empty and self.held else more

    def polled(self, answer: Answer) -> Answer:
        self.held = answer.headers.get("etag", self.held)
        self.empty = answer.status == 204
        return answer


class NoMore(Polls):
    def polled(self, answer: Answer) -> Answer:
        return replace(answer, body={**answer.body, "more": False}) if answer.body else answer


class Backwards(Polls):
    def polled(self, answer: Answer) -> Answer:
        tokens = answer.body.get("tokens", [])
        return replace(answer, body={**answer.body, "tokens": tokens[::-1]}) if len(tokens) == 3 else answer


class OwnPace(Pace):
    def pause(self, now: float, cap: float) -> float:
        return super().pause(now, cap) if now < self.fast_until else 12


class NeverFast(Pace):
    def pause(self, now: float, cap: float) -> float:
        self.fast_until = 0
        return super().pause(now, cap)


class Sulks(Pace):
    def obey(self, header: str) -> None:
        super().obey(header)
        if "((" in header:
            self.interval = 3600


class Impatient(Pace):
    def back_off(self, retry_after: int | None, cap: float) -> float:
        return super().back_off(None, cap) if retry_after is None else min(super().back_off(None, cap), 9)


class LikeClockwork(Pace):
    def back_off(self, retry_after: int | None, cap: float) -> float:
        return super().back_off(retry_after, cap) if retry_after else 7


class GivesUp(Client):
    def _back_off(self, line: str, retry_after: int | None) -> float:
        strange = line.startswith("unreachable") and "Error" not in line
        return 3600 if strange else super()._back_off(line, retry_after)


class Insists(Pace):
    def stand_by(self, cap: float) -> float:
        return 5


class Forgetful(Client):
    def _back_off(self, line: str, retry_after: int | None) -> float:
        self.till.alter(hwm=0)
        return super()._back_off(line, retry_after)


breaks("poll-request", line=AsksTooLong)
breaks("poll-telemetry", line=Mumbles)
breaks("poll-etag", line=ForgetsTags)
breaks("poll-204", line=ClingsToTags)
breaks("poll-more", line=NoMore)
breaks("poll-order", line=Backwards)
breaks("poll-interval", pace=OwnPace)
breaks("poll-fast", pace=NeverFast)
breaks("poll-broken-pace", pace=Sulks)
breaks("poll-retry-after", pace=Impatient)
breaks("poll-back-off", pace=LikeClockwork)
breaks("poll-no-answer", client=GivesUp)
breaks("poll-stands-by", pace=Insists)
breaks("poll-keeps-memory", client=Forgetful)


# --- keysets ----------------------------------------------------------------------------------------------


class TakesKeysOnly(Trust):
    """Takes the keys of what it should not follow, and stays where it was."""

    stranger = False

    def adopt(self, state: State, keyset: Any) -> None:
        if not self.stranger:
            super().adopt(state, keyset)
            return
        self.stranger = False
        kept = state.keyset
        super().adopt(state, replace(keyset, roots=tuple(state.roots), revoked=tuple(kept["revoked"])))
        state.keyset["ver"] = kept["ver"]


class AnyRoot(TakesKeysOnly):
    def rooted(self, token: str, state: State) -> dict[str, Any]:
        try:
            return super().rooted(token, state)
        except jose.JoseError:
            claims, _ = jose.verify_self_vouched(token, TYP_KEYSET, "roots")
            if len(claims["roots"]) != 1:
                raise
            self.stranger = True
            return claims


class OnlineKeys(TakesKeysOnly):
    def rooted(self, token: str, state: State) -> dict[str, Any]:
        try:
            return super().rooted(token, state)
        except jose.JoseError:
            keys = {jose.kid16(key["jwk"]): key["jwk"] for key in state.keyset["keys"]}
            claims = jose.verify(token, TYP_KEYSET, keys, 8192)
            self.stranger = True
            return claims


class Skips(TakesKeysOnly):
    def next_version(self, keyset: Any, state: State) -> None:
        self.stranger = keyset.ver != state.keyset["ver"] + 1


class AnyIssuer(TakesKeysOnly):
    def ours(self, keyset: Any, state: State) -> None:
        self.stranger = keyset.iss != state.origin


class OldRoots(TakesKeysOnly):
    past: list[Any] = []

    def rooted(self, token: str, state: State) -> dict[str, Any]:
        self.past = [*self.past, *(dict(root) for root in state.roots)]
        try:
            return super().rooted(token, state)
        except jose.JoseError:
            claims = jose.verify(token, TYP_KEYSET, {jose.kid16(root): root for root in self.past}, 8192)
            self.stranger = True
            return claims


class FetchesTwice(Line):
    def outgoing(self, path: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return path, more

    def exchange(self, origin: str, method: str, path: str, **more: Any) -> Answer:
        if path.startswith("keysets/"):
            super().exchange(origin, method, path, **more)
        return super().exchange(origin, method, path, **more)


class StopsAtTheEnd(Client):
    def _learn_keys_for(self, token: str) -> None:
        before = self.till.store.load().keyset["ver"]
        super()._learn_keys_for(token)
        state = self.till.store.load()
        kid = json.loads(jose.unb64u(token.split(".", maxsplit=1)[0]))["kid"] if token[:2] == "ey" else ""
        known = {jose.kid16(key["jwk"]) for key in state.keyset["keys"]} | {
            jose.kid16(root) for root in state.roots
        }
        if before == state.keyset["ver"] >= 8 and kid not in known:
            raise Unreachable("the walk has ended")


breaks("keyset-walk", line=FetchesTwice)
breaks("keyset-root", trust=AnyRoot)
breaks("keyset-online-key", trust=OnlineKeys)
breaks("keyset-step", trust=Skips)
breaks("keyset-issuer", trust=AnyIssuer)
breaks("keyset-new-root", trust=OldRoots)
breaks("keyset-end", client=StopsAtTheEnd)
