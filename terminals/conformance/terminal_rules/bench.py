"""Where rules for a terminal are tried: our server, the terminal's rounds, and hands at the machine."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from terminals import jose
from terminals.conformance.hands import Nobody
from terminals.conformance.memory import Jwk
from terminals.conformance.rules import Broken, CannotTell, shortened
from terminals.conformance.server import Server
from terminals.protocol import TYP_AUTH, TYP_COMMAND

# A token is answered in the round that fetches it; a slow machine may need one more.
ROUNDS: Final = 2


class Subject(Protocol):
    """The terminal under test, as far as it can be moved from here."""

    def pair(self, qr: str) -> None:
        """Have it pair with this code, and return when it has tried."""

    def round(self, *, at_most: float = 0.0) -> float:
        """Let it ask, obey and report once; returns the seconds until it asks again, `at_most` so many."""


@dataclass
class TerminalBench:
    """One terminal under test, and an operator on it whose password may be changed."""

    server: Server
    subject: Subject
    hands: Nobody = field(default_factory=Nobody)
    operator: str = "03"
    password: str = ""
    skews: int = 0
    strangers: int = 0
    wiped: bool = False
    drawn: set[str] = field(default_factory=set)

    @property
    def qr(self) -> str:
        """What the terminal is to scan."""
        return f"REKEY1:{self.server.origin}|{self.server.code}|{jose.thumbprint(self.server.root)}"

    # --- what is needed first ---------------------------------------------------------------------------

    def paired(self) -> Server:
        """Our server, once the terminal is paired. Raises CannotTell."""
        if not self.server.active:
            raise CannotTell("the pairing has not succeeded")
        return self.server

    def begun(self) -> Server:
        """Our server, once one number is used, so that there is one to compare with. Raises CannotTell."""
        server = self.paired()
        if not server.seq and [said["st"] for said in self.send(self.token())] != ["applied"]:
            raise CannotTell("not even a good token was applied")
        return server

    def able(self, cmd: str) -> None:
        """Raises CannotTell unless the terminal said at pairing that it can do this."""
        self.paired()
        if cmd not in self.server.cmds:
            raise CannotTell(f"the terminal does not list {cmd} in cap.cmds")

    # --- rounds -----------------------------------------------------------------------------------------

    def round(self, times: int = 1) -> None:
        """So many rounds; keeps up with the terminal's numbers."""
        for _ in range(times):
            self.subject.round()
        self._keep_up()

    def pause(self, at_most: float = 60.0) -> float:
        """One round; returns the seconds that the terminal waits after it, or `at_most` if it is longer."""
        pause = self.subject.round(at_most=at_most)
        self._keep_up()
        return pause

    def _keep_up(self) -> None:
        mine = list(self.server.receipts.values())[self.server.past_receipts :]
        marks = [claims["hwm"] for claims in mine]
        self.server.seq = max([self.server.seq, *marks])

    def fresh_password(self) -> str:
        """Six digits that no rule forbids: no run, no repetition, no date, not used before by us."""
        while True:
            drawn = f"{secrets.randbelow(500_000) + 400_000}"
            steps = [abs(int(one) - int(two)) for one, two in itertools.pairwise(drawn)]
            plain = len(set(drawn)) < 5 or min(steps) <= 1 or int(drawn[-2:]) <= 40
            if not plain and drawn not in self.drawn:
                self.drawn.add(drawn)
                return drawn

    def token(self, key: Jwk | None = None, **changes: Any) -> str:
        """A good password token with changes."""
        if changes.get("cmd", "set_credential") == "set_credential":
            changes = {"op": self.operator, "password": self.fresh_password(), **changes}
        cmd = changes.pop("cmd", "set_credential")
        return jose.sign(self.server.claims(cmd, **changes), TYP_COMMAND, key or self.server.issuer)

    def send(self, token: str, *, rounds: int = ROUNDS) -> list[dict[str, Any]]:
        """Queue a token, alone, and let the terminal work; its receipts, in the order of arrival."""
        server = self.paired()
        server.tokens.clear()
        tok = server.enqueue(token, _claims(token))
        before = len(server.said_of(tok))
        for _ in range(rounds):
            self.round()
            if len(server.said_of(tok)) > before:
                break
        server.tokens = [waiting for waiting in server.tokens if waiting != token]
        return server.said_of(tok)[before:]

    def judged(self, what: str, token: str, st: str, rc: str | None = None) -> dict[str, Any]:
        """Send a token; raises Broken unless its first receipt says this. Returns the receipt."""
        said = self.send(token)
        expected = f"a receipt with st {st}" + (f" and rc {rc}" if rc else "")
        if not said:
            raise Broken(told(what, token), expected, "no receipt for it")
        if (said[0]["st"], said[0].get("rc")) != (st, rc):
            raise Broken(told(what, token), expected, outcome(said[0]))
        return said[0]


def signer(bearer: str) -> str:
    """The `kid` of a bearer; empty if it is none."""
    try:
        return jose.read(bearer, TYP_AUTH, algs=jose.TERMINAL_ALGS).kid
    except jose.JoseError:
        return ""


def outcome(receipt: Mapping[str, Any]) -> str:
    """What a receipt says, in short."""
    return " ".join(filter(None, (f"st {receipt['st']}", f"rc {receipt['rc']}" if "rc" in receipt else "")))


def told(what: str, token: str) -> str:
    """A token for a person to read."""
    claims = {**_claims(token)}
    if "sealed" in claims:
        claims["sealed"] = "…"
    return f"a command {what}: {shortened(str(claims) if claims else token, 400)}"


def _claims(token: str) -> dict[str, Any]:
    """The claims of a token; nothing if it is none."""
    try:
        return jose._strict(jose.unb64u(token.split(".")[1]))
    except (jose.JoseError, IndexError):
        return {}
