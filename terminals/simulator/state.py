"""All that a terminal remembers, as one value that is replaced as a whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from terminals.policy import Keypad, PasswordPolicy
from terminals.protocol import MAINTENANCE, PATH, SUPERVISOR

Jwk = dict[str, str]
Role = Literal["ordinary", "supervisor", "maintenance"]

TRIES: Final = 5


@dataclass
class Profile:
    """What this machine is: its keypad and what it asks of a password, per role."""

    keypad: Keypad = "digits"
    lengths: dict[str, list[int]] = field(
        default_factory=lambda: {"ordinary": [4, 6], "supervisor": [6, 6], "maintenance": [8, 8]}
    )
    factory_defaults: list[str] = field(default_factory=lambda: ["0000", "000000", "123456", "12345678"])
    vendor: str = "Rekey"
    model: str = "RK-100"
    serial: str = "RK20260001"
    fw: str = "1.0.0"

    def policy(self, role: str) -> PasswordPolicy:
        """The rules for one role."""
        low, high = self.lengths[role]
        return PasswordPolicy(self.keypad, low, high, tuple(self.factory_defaults))


@dataclass
class Reset:
    """The command that last changed this operator's password, until the first sign-on after it."""

    cid: str
    jti: str
    seq: int
    tok: str
    choose_until: int | None = None


@dataclass
class Operator:
    """One operator of this machine. Passwords are kept as Argon2 hashes only; the first one is in force."""

    number: str
    name: str
    hashes: list[str]
    changed_at: int
    tries_left: int = TRIES
    locked: bool = False
    must_change: bool = False
    weak: str | None = None
    reset: Reset | None = None

    @property
    def role(self) -> Role:
        """The role follows the number."""
        if self.number == SUPERVISOR:
            return "supervisor"
        return "maintenance" if self.number == MAINTENANCE else "ordinary"


@dataclass
class Done:
    """A token that has been dealt with, and the receipt that says how."""

    jti: str
    cid: str
    st: str
    receipt_jti: str
    receipt: str


@dataclass
class Outgoing:
    """A receipt that the server has not yet taken; always resent byte for byte."""

    jti: str
    receipt: str
    tok: str
    refusals: int = 0


@dataclass
class State:
    """The whole memory of one terminal."""

    status: Literal["new", "unconfirmed", "active"] = "new"
    origin: str = ""
    tid: str = ""
    sign_key: Jwk = field(default_factory=dict)
    open_key: Jwk = field(default_factory=dict)
    nonce: str = ""
    offline_key: str = ""
    roots: list[Jwk] = field(default_factory=list)
    keyset: dict[str, Any] = field(default_factory=dict)
    hwm: int = 0
    time_floor: int = 0
    profile: Profile = field(default_factory=Profile)
    operators: dict[str, Operator] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)
    outbox: list[Outgoing] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)
    journal_n: int = 0
    busy: bool = False
    locked: bool = False
    message: str = ""

    @property
    def audience(self) -> str:
        """The `aud` of everything this terminal signs."""
        return self.origin + PATH

    def note(self, event: str, at: int, **facts: Any) -> None:
        """Add a line to the journal; it becomes permanent together with this state."""
        self.journal_n += 1
        self.journal.append({"n": self.journal_n, "at": at, "event": event, **facts})


def to_json(state: State) -> dict[str, Any]:
    """The state as plain JSON values."""
    return asdict(state)


def from_json(plain: dict[str, Any]) -> State:
    """The state from what `to_json` gave."""
    operators = {number: _operator(entry) for number, entry in plain["operators"].items()}
    return State(
        **{
            **plain,
            "profile": Profile(**plain["profile"]),
            "operators": operators,
            "done": [Done(**entry) for entry in plain["done"]],
            "outbox": [Outgoing(**entry) for entry in plain["outbox"]],
        }
    )


def _operator(plain: dict[str, Any]) -> Operator:
    reset = plain["reset"]
    return Operator(**{**plain, "reset": Reset(**reset) if reset else None})
