"""All that a terminal remembers, as one value that is replaced as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal, TypeVar

from terminals.policy import Keypad, PasswordPolicy
from terminals.protocol import MAINTENANCE, PATH, SUPERVISOR

Jwk = dict[str, str]
Role = Literal["ordinary", "supervisor", "maintenance"]
T = TypeVar("T")

TRIES: Final = 5
# When this firmware was built: no clock that shows an earlier time is believed.
BUILT: Final = 1_735_689_600


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
    app: str = "till 1.0"

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
    """A token that has been dealt with, and the receipt that says how (empty until there is one)."""

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
class Pairing:
    """A new identity that the server has registered but not yet confirmed; the old one works until then."""

    origin: str
    tid: str
    sign_key: Jwk
    open_key: Jwk
    nonce: str
    offline_key: str
    roots: list[Jwk]
    keyset: dict[str, Any]


@dataclass
class Rolling:
    """A key roll under way: the new keys, and the very bytes that ask for them until `expires`."""

    sign_key: Jwk
    open_key: Jwk
    request: str = ""
    expires: int = 0
    registered: bool = False


@dataclass
class Token:
    """What a later receipt has to repeat of a token."""

    jti: str
    cid: str
    seq: int
    tok: str

    @property
    def named(self) -> dict[str, Any]:
        """The members of a receipt."""
        return {"sub": self.jti, "cid": self.cid, "seq": self.seq}


@dataclass
class Restart:
    """A restart that was ordered; `boots` is the counter's value when it was."""

    token: Token
    boots: int


@dataclass
class Wipe:
    """A factory reset on its way: counting down until `at`, then reported, then done."""

    token: Token
    at: int
    declinable: bool
    reported: str = ""
    sends: int = 0


@dataclass
class Asking:
    """A recovery that somebody started at this machine, as its screen shows it."""

    op: str
    state: str = "wanted"
    rid: str = ""
    user_code: str = ""
    address: str = ""
    address_complete: str = ""
    match: str = ""
    interval: int = 3
    until: int = 0


@dataclass
class Challenge:
    """An offline unlock under way."""

    op: str
    counter: int
    question: str
    started: int
    tries: int = 0
    granted: bool = False


@dataclass
class State:
    """The whole memory of one terminal."""

    status: Literal["new", "unconfirmed", "active"] = "new"
    origin: str = ""
    tid: str = ""
    sign_key: Jwk = field(default_factory=dict)
    open_key: Jwk = field(default_factory=dict)
    offline_key: str = ""
    roots: list[Jwk] = field(default_factory=list)
    keyset: dict[str, Any] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)
    hwm: int = 0
    time_floor: int = BUILT
    boots: int = 0
    pairing: Pairing | None = None
    rolling: Rolling | None = None
    roll_wanted: Literal["", "sign", "both"] = ""
    profile: Profile = field(default_factory=Profile)
    operators: dict[str, Operator] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)
    outbox: list[Outgoing] = field(default_factory=list)
    waits: dict[str, int] = field(default_factory=dict)
    restart: Restart | None = None
    wipe: Wipe | None = None
    asking: Asking | None = None
    challenge: Challenge | None = None
    challenges: list[int] = field(default_factory=list)
    offline_counter: int = 0
    journal: list[dict[str, Any]] = field(default_factory=list)
    journal_n: int = 0
    busy: bool = False
    batch: bool = False
    locked: bool = False
    tampered: bool = False
    message: str = ""
    trouble: str = ""
    network: Literal["ethernet", "wifi", "cellular"] = "ethernet"
    connected: bool = True
    battery: int | None = None
    charging: bool = True

    @property
    def audience(self) -> str:
        """The `aud` of everything this terminal signs."""
        return self.origin + PATH

    def note(self, event: str, at: int, **facts: Any) -> None:
        """Add a line to the journal; it becomes permanent together with this state."""
        self.journal_n += 1
        self.journal.append({"n": self.journal_n, "at": at, "event": event, **facts})


_KNOWN: Final = frozenset(member.name for member in fields(State))


def to_json(state: State) -> dict[str, Any]:
    """The state as plain JSON values."""
    return asdict(state)


def from_json(plain: dict[str, Any]) -> State:
    """The state from what `to_json` gave; members of other versions are left out."""
    known = {name: value for name, value in plain.items() if name in _KNOWN}
    return State(
        **{
            **known,
            "profile": Profile(**plain["profile"]),
            "operators": {number: _operator(entry) for number, entry in plain["operators"].items()},
            "done": [Done(**entry) for entry in plain["done"]],
            "outbox": [Outgoing(**entry) for entry in plain["outbox"]],
            "pairing": _maybe(plain, "pairing", Pairing),
            "rolling": _maybe(plain, "rolling", Rolling),
            "restart": _maybe(plain, "restart", _restart),
            "wipe": _maybe(plain, "wipe", _wipe),
            "asking": _maybe(plain, "asking", Asking),
            "challenge": _maybe(plain, "challenge", Challenge),
        }
    )


def _maybe(plain: dict[str, Any], name: str, make: Callable[..., T]) -> T | None:
    entry = plain.get(name)
    return make(**entry) if entry else None


def _operator(plain: dict[str, Any]) -> Operator:
    reset = plain["reset"]
    return Operator(**{**plain, "reset": Reset(**reset) if reset else None})


def _restart(token: dict[str, Any], boots: int) -> Restart:
    return Restart(Token(**token), boots)


def _wipe(token: dict[str, Any], **rest: Any) -> Wipe:
    return Wipe(Token(**token), **rest)
