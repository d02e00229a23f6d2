"""How a broken terminal is entered into the book: one part of another make, or one function exchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from terminals import jose
from terminals.simulator.checks import Judge, Refused
from terminals.simulator.transport import Answer, Connection
from tests.terminals.stepped import Parts


@dataclass(frozen=True)
class Mutant:
    """A terminal that breaks one rule. `besides` are rules that cannot hold without that one."""

    parts: Parts = field(default_factory=Parts)
    patches: tuple[tuple[str, object], ...] = ()
    besides: frozenset[str] = frozenset()


BROKEN: dict[str, Mutant] = {}


def breaks(rule: str, *patches: tuple[str, object], besides: tuple[str, ...] = (), **parts: Any) -> None:
    """Enter a terminal that breaks this rule."""
    BROKEN[rule] = Mutant(Parts(**parts), patches, frozenset(besides))


# --- judges -----------------------------------------------------------------------------------------------

Step = Callable[..., Any]


def judge(**steps: Callable[[Step], Step]) -> type[Judge]:
    """A judge with some steps wrapped: each wrapper is given the real step."""

    def wrapped(name: str, wrap: Callable[[Step], Step]) -> Step:
        def step(self: Judge, *given: Any) -> Any:
            return wrap(lambda *again: getattr(Judge, name)(self, *again))(*given)

        return step

    return type("BrokenJudge", (Judge,), {name: wrapped(name, wrap) for name, wrap in steps.items()})


def instead(rc: str, when: Callable[..., bool]) -> Callable[[Step], Step]:
    """A step that gives this reason in some cases, before anything else."""

    def wrap(real: Step) -> Step:
        def step(*given: Any) -> Any:
            if when(*given):
                raise Refused(rc, _names(given[0]))
            return real(*given)

        return step

    return wrap


def skipped(when: Callable[..., bool]) -> Callable[[Step], Step]:
    """A step that is left out in some cases; it must be one that returns nothing."""
    return lambda real: lambda *given: None if when(*given) else real(*given)


def forgiven(mend: Callable[..., Any]) -> Callable[[Step], Step]:
    """A step that, where the real one refuses, does what `mend` says; None leaves the refusal."""

    def wrap(real: Step) -> Step:
        def step(*given: Any) -> Any:
            try:
                return real(*given)
            except Refused as refusal:
                mended = mend(refusal, *given)
                if mended is None:
                    raise
                return mended

        return step

    return wrap


def _names(claims: Any) -> dict[str, Any]:
    return {} if isinstance(claims, str) else {"sub": claims.jti, "cid": claims.cid, "seq": claims.seq}


def carelessly(pick: Callable[[dict[str, Any]], bool]) -> type[Judge]:
    """A judge that does not look closely at headers of which `pick` says so."""

    def mend(refusal: Refused, token: str) -> Any:
        head, payload, signature = token.split(".")
        header = json.loads(jose.unb64u(head))
        if not pick(header):
            return None
        signed = f"{head}.{payload}".encode()
        return jose.Unverified(header["kid"], signed, jose.unb64u(payload), jose.unb64u(signature))

    return judge(form=forgiven(mend))


# --- lines ------------------------------------------------------------------------------------------------


class Line(Connection):
    """A line on which what goes out and what comes in can be changed."""

    def outgoing(self, path: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The request that goes out instead."""
        return path, more

    def incoming(self, path: str, answer: Answer) -> Answer:
        """The answer that comes in instead."""
        return answer

    def exchange(self, origin: str, method: str, path: str, **more: Any) -> Answer:
        """One request."""
        path, more = self.outgoing(path, more)
        return self.incoming(path, super().exchange(origin, method, path, **more))


def headed(more: dict[str, Any], **headers: str | None) -> dict[str, Any]:
    """A request with other headers; None takes one away."""
    named = {
        **(more.get("headers") or {}),
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    return {**more, "headers": {name: text for name, text in named.items() if text is not None}}
