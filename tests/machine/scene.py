"""One terminal, its server and the line between them; what is known of both, and how it all ends."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.db import connection
from hypothesis.stateful import RuleBasedStateMachine

from terminals import delivery, inbox, jose
from terminals.life import lives, pairing_codes, stopping
from terminals.models import Command, Terminal
from terminals.polling import seen
from terminals.protocol import APPLIED, FETCHED, LOCK, OPEN, QUEUED
from terminals.simulator import failpoints
from terminals.simulator.client import Client
from terminals.simulator.store import Store
from terminals.simulator.till import Till
from terminals.simulator.transport import Clock, Problem, Unreachable, _Raw
from tests.cast import OPERATORS, make_terminal
from tests.machine import agreement, backup
from tests.machine.chance import chance
from tests.machine.inside import Inside
from tests.machine.link import Answering, Line, Plan, Request
from tests.machine.memory import Disk, MemoryStore
from tests.terminals.tills import CHEAP, PASSWORDS

# Rounds with a minute in between, then with an hour: what nobody goes on with is over after a day.
EVENTUALLY = 60
PAUSE_S = 2
# So many rounds without being let in are no passing trouble.
PATIENCE = 20
counted: Counter[str] = Counter()
cut_at: Counter[str] = Counter()


def around_the_commit() -> set[str]:
    """The points of a commit at which the power failed; the others are on the line."""
    return {point for point in cut_at if point.partition("/")[2] in failpoints.STAGES}


class Scene(RuleBasedStateMachine):
    """What the rules play with. Storage is in memory and the server in this thread, unless told otherwise."""

    # Whether news of changed keys reach the poll before the next question does; else a moment later.
    hears_at_once = True

    def __init__(self) -> None:
        super().__init__()
        counted["runs"] += 1
        chance.begin_anew()
        self.disk = Disk()
        self.server, self.id = self.open_server(), make_terminal(serial="RK20260001", number="A0260001").pk
        self.line = Line(self.server, self.watch)
        self.issued: list[tuple[str, str, str]] = []
        self.chosen: dict[str, str] = {}
        self.tokens: dict[str, tuple[str, int]] = {}
        self.handed_over: list[str] = []
        self.heard: dict[str, int] = {}
        self.saved: backup.Backup | None = None
        self.rewound: set[str] = set()
        self.steps, self.every = 0, 60
        self.start_machine()
        for number, password in PASSWORDS.items():
            self.till.seed(number, password, OPERATORS[number])
        self.pair()

    def open_server(self) -> Answering:
        """Who answers."""
        return Inside()

    def storage(self) -> Store:
        """What survives when the power fails."""
        return MemoryStore(self.disk)

    # --- the terminal ------------------------------------------------------------------------------------

    def start_machine(self) -> None:
        """Switch it on: memory is lost, storage is not."""
        clock = Clock()
        self.till = Till(self.storage(), clock=clock, hasher=CHEAP)
        self.line.plan = []
        self.client = Client(self.till, clock, line=self.line)
        self.till.power.boot(self.till.present())

    @contextmanager
    def mains(self) -> Iterator[None]:
        """Whatever the terminal does may be cut short; then somebody switches it on again."""
        try:
            yield
        except failpoints.PowerCut:
            counted["power cuts"] += 1
            self.start_machine()

    def pair(self) -> None:
        """A new code for the record, typed at the machine; a bad line may leave it for later."""
        code = pairing_codes.create_pairing_code(self.row, "user:1").code
        try:
            self.client.enroll(self.origin, code)
        except (Problem, Unreachable):
            counted["pairings that failed"] += 1

    @property
    def origin(self) -> str:
        origin: str = django_settings.REKEY_ORIGIN
        return origin

    @property
    def row(self) -> Terminal:
        return Terminal.objects.get(pk=self.id)

    def round(self, plan: Plan) -> None:
        """The terminal asks, and does what it is told."""
        chance.pass_time(PAUSE_S)
        self.line.plan = plan.copy()
        self.client.step()
        self.line.plan = []

    # --- what is seen of the line ------------------------------------------------------------------------

    def watch(self, request: Request, raw: _Raw) -> None:
        """Whatever the server answers must be right at that moment."""
        assert raw.status != 500, "the server broke"
        if request.kind == "receipts" and raw.status == 200:
            self.learn_tokens()
            self.note_what_was_heard(json.loads(request.body or b"")["receipts"])
        if request.kind == "commands" and raw.status in (200, 204, 304) and self.hears_at_once:
            self.judge_admission(request)
        if request.kind == "commands" and raw.status == 200:
            self.judge_tokens(json.loads(raw.body)["tokens"])

    def judge_admission(self, request: Request) -> None:
        """Nobody is let in whose key is not in force."""
        kid = _part(request.headers["Authorization"].removeprefix("Bearer "), 0)["kid"]
        state, in_force = self.standing()
        assert kid == in_force, "a key was let in that is not in force"
        assert state != Terminal.State.REVOKED, "a terminal was let in that was shut out"

    def judge_tokens(self, tokens: list[str]) -> None:
        """Nothing is handed over that has ended; a terminal that was stopped is told to lock, and no more."""
        for token in tokens:
            for (state,) in _rows(
                "SELECT state FROM terminals_command WHERE jti = %s", _part(token, 1)["jti"]
            ):
                assert state in (QUEUED, FETCHED), f"handed over though it is {state}"
        self.handed_over += [token for token in tokens if token not in self.handed_over]
        if self.standing()[0] == Terminal.State.QUARANTINED:
            kinds = {_part(token, 1)["cmd"] for token in tokens}
            assert kinds <= {LOCK}, "a terminal that was stopped was served"

    def note_what_was_heard(self, receipts: list[str]) -> None:
        """The mark of a receipt about a token of its own key is known to the server from now on."""
        for receipt in receipts:
            kid, claims = _part(receipt, 0)["kid"], _part(receipt, 1)
            known = self.tokens.get(claims.get("sub", ""))
            if known is not None and known[0] == kid == self.standing()[1]:
                self.heard[kid] = max(self.heard.get(kid, 0), claims["hwm"])

    # --- knowledge ---------------------------------------------------------------------------------------

    def standing(self) -> tuple[str, str | None]:
        """The terminal's state, and the key that is in force."""
        state, kid = _rows("SELECT state, sign_kid FROM terminals_terminal WHERE id = %s", self.id)[0]
        return state, kid

    def learn_tokens(self) -> None:
        """Which numbers were given out, for which key; a server that is put back forgets it."""
        # There is no other terminal.
        issued = _rows("SELECT jti, jkt, seq FROM terminals_commandtoken ORDER BY issued_at, seq")
        for jti, jkt, seq in [row for row in issued if row[0] not in self.tokens]:
            assert seq > self.heard.get(jkt, 0), "a number was given out that was reported as used"
            self.tokens[jti] = (jkt, seq)

    def may_give_up_a_roll(self) -> bool:
        """Whether the new key was not used: the server does not know it as the key in force, nor will it."""
        state = self.till.store.load()
        if state.rolling is None or any(each.kind == "commands" for each in self.line.under_way):
            return False
        return jose.kid16(state.sign_key) == self.standing()[1]

    def saved_key_is_current(self) -> bool:
        """A backup from before a change of keys is a matter for pairing anew, not for sequence numbers."""
        return self.saved is not None and self.saved.sign_kid == self.standing()[1]

    def accepted(self) -> list[str]:
        """The tokens the terminal accepted, in order."""
        events = (APPLIED, "begun")
        return [str(entry["jti"]) for entry in self.till.store.journal() if entry["event"] in events]

    def carried_out(self) -> list[str]:
        """The commands the terminal carried out, in order, each once."""
        done = [
            entry["cid"] for entry in self.till.store.journal() if entry["event"] in (APPLIED, "rebooted")
        ]
        return list(dict.fromkeys(done))

    def in_force(self, number: str) -> str:
        """The password that the last command carried out for this operator brought, or let them choose."""
        mine = {cid: self.chosen.get(cid, password) for cid, op, password in self.issued if op == number}
        brought = [mine[cid] for cid in self.carried_out() if mine.get(cid)]
        return brought[-1] if brought else PASSWORDS[number]

    # --- in the end --------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Everything is mended and everybody waits; then nothing may be left open, and both sides agree."""
        failpoints.hook = None
        try:
            self.settle()
            self.learn_tokens()
            done = self.carried_out()
            agreement.both_sides_agree(self.id, done, self.rewound)
            agreement.newest_wins(self.issued, done)
            agreement.nothing_counts_twice(self.id)
            agreement.nobody_contradicts_himself(self.id)
            agreement.nothing_is_lost_to_a_number(self.id)
        finally:
            self.server.close()
            inbox.client().flushall()
            backup.empty()

    def settle(self) -> None:
        """Whoever was stopped is let in again, whatever is under way arrives, and everybody does his part."""
        self.till.set_busy(False)
        for turn in range(EVENTUALLY):
            while self.line.under_way:
                self.line.arrive(0)
            if self.standing()[0] in pairing_codes.CLOSED:
                stopping.release(self.row, "user:2", "found")
            self.work()
            state = self.till.store.load()
            assert turn < PATIENCE or state.trouble != "invalid_auth", f"locked out: {self.what_is_open()}"
            if state.status != "active" or self.standing()[0] != Terminal.State.ACTIVE:
                self.pair()
            self.round([])
            chance.pass_time(61 if turn < PATIENCE else 3600)
            if self.quiet():
                return
        raise AssertionError(f"still open: {self.what_is_open()}")

    def work(self) -> None:
        """What the workers do all the time."""
        self.server.write_notes()
        delivery.sweep()
        lives.sweep()
        seen.copy()

    def deliver(self) -> None:
        """What they do when they are asked to."""
        asked, chance.nudged[:] = list(dict.fromkeys(chance.nudged)), []
        if asked:
            delivery.deliver_many(asked)

    def what_is_open(self) -> dict[str, Any]:
        """For whoever reads that something is."""
        state, row = self.till.store.load(), self.row
        return {
            "commands": list(self.open_commands()),
            "row": (row.state, row.last_seq, row.sign_kid, row.pending_sign_kid, row.tampered_at),
            "till": (state.status, state.hwm, len(state.outbox), state.trouble, bool(state.pairing)),
            "rolling": state.rolling and (state.rolling.registered, jose.kid16(state.rolling.sign_key)),
            "keys": (jose.kid16(state.sign_key), row.previous_sign_kid, row.pending_until),
            "answers": self.server.statuses[-8:],
        }

    def quiet(self) -> bool:
        """Whether nothing is under way, here and there."""
        state = self.till.store.load()
        let_in = not state.trouble and jose.kid16(state.sign_key) == self.standing()[1]
        busy = state.outbox or state.rolling or state.roll_wanted or state.pairing
        return let_in and not busy and not self.open_commands().exists()

    def open_commands(self) -> Any:
        """What has not come to an end."""
        return Command.objects.filter(terminal_id=self.id, state__in=OPEN).values_list(
            "kind", "state", "reason"
        )


def _part(token: str, which: int) -> dict[str, Any]:
    """The header or the claims of a compact JWS, whoever signed it."""
    part: dict[str, Any] = json.loads(jose.unb64u(token.split(".")[which]))
    return part


def _rows(statement: str, *values: str) -> list[Any]:
    """What the database says, at the price of a question."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[Any] = cursor.fetchall()
        return rows


class OnDisk:
    """A storage of files instead, for a scene that is mixed with it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rekey-till-", dir="/dev/shm"))
        super().__init__()

    def storage(self) -> Store:
        """What survives when the power fails."""
        return Store(self.folder)

    def teardown(self) -> None:
        """As ever; and nothing is left lying about."""
        try:
            super().teardown()  # type: ignore[misc]
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
