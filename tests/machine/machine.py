"""One terminal, its server, and everything that may come between them, as rules and what always holds."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import time_machine
from django.conf import settings as django_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from terminals import commands, delivery, inbox, jose
from terminals.life import lives, pairing_codes, stopping
from terminals.models import Command, CommandToken, Terminal
from terminals.polling import seen
from terminals.protocol import APPLIED, LOCK, MESSAGE, OPEN, REBOOT, SET_CREDENTIAL, UNLOCK
from terminals.simulator import failpoints
from terminals.simulator.client import Client
from terminals.simulator.store import Store
from terminals.simulator.till import Till
from terminals.simulator.transport import Clock, Problem, Unreachable
from tests.cast import OPERATORS, make_terminal
from tests.machine import agreement, backup
from tests.machine.link import Fault, Line, Server
from tests.terminals.tills import CHEAP, PASSWORDS

NUMBERS = ("01", "03")
# Rounds with a minute in between, then with an hour: what nobody goes on with is over after a day.
EVENTUALLY = 60
PAUSE_S = 2
# So many rounds without being let in are no passing trouble.
PATIENCE = 20
counted: Counter[str] = Counter()
cut_at: Counter[str] = Counter()
_passwords = itertools.count(1)

faults = st.lists(st.sampled_from(list(Fault)), max_size=4)


def fresh_password() -> str:
    """Six digits that no other command of this run has, and that no rule of the terminal forbids."""
    while True:
        text = f"{(next(_passwords) * 7919 + 104_729) % 1_000_000:06}"
        if text not in ("123456", "000000"):
            return text


class TerminalAndServer(RuleBasedStateMachine):
    """One terminal, its server, and everything that may come between them."""

    def __init__(self) -> None:
        super().__init__()
        counted["runs"] += 1
        self.travel = time_machine.travel(1_800_000_000, tick=True)
        self.traveller = self.travel.start()
        self.folder = Path(tempfile.mkdtemp(prefix="rekey-till-", dir="/dev/shm"))
        self.server, self.id = Server(), make_terminal().pk
        self.line = Line(self.server)
        self.issued: list[tuple[str, str, str]] = []
        self.chosen: dict[str, str] = {}
        self.tokens: dict[str, tuple[str, int]] = {}
        self.saved: backup.Backup | None = None
        self.rewound: set[str] = set()
        self.start_machine()
        for number, password in PASSWORDS.items():
            self.till.seed(number, password, OPERATORS[number])
        self.pair()

    # --- the terminal ---------------------------------------------------------------------------------------

    def start_machine(self) -> None:
        """Switch it on: memory is lost, storage is not."""
        clock = Clock()
        self.till = Till(self.storage(), clock=clock, hasher=CHEAP)
        self.line.plan = []
        self.client = Client(self.till, clock, line=self.line)
        self.till.power.boot(self.till.present())

    def storage(self) -> Store:
        """What survives when the power fails."""
        return Store(self.folder)

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

    def round(self, plan: list[Fault]) -> None:
        self.traveller.shift(PAUSE_S)
        self.line.plan = list(plan)
        self.client.step()
        self.line.plan = []

    # --- what may happen ------------------------------------------------------------------------------------

    @rule(number=st.sampled_from(NUMBERS), choose=st.booleans())
    def somebody_resets_a_password(self, number: str, choose: bool) -> None:
        password = "" if choose else fresh_password()
        more: dict[str, Any] = {"choose": True} if choose else {"sealed_password": password}
        try:
            command = commands.issue(
                self.row, SET_CREDENTIAL, operator_number=number, requested_by="user:1", **more
            )
        except commands.CannotIssue:
            return
        counted["resets"] += 1
        self.issued.append((command.pk, number, password))

    @rule(kind=st.sampled_from((LOCK, UNLOCK, MESSAGE, REBOOT)))
    def staff_send_something(self, kind: str) -> None:
        args = {"text": "请致电客服"} if kind == MESSAGE else {}
        try:
            commands.issue(self.row, kind, requested_by="user:2", args=args)
        except commands.CannotIssue:
            return
        counted["other commands"] += 1

    @rule(back=st.integers(0, 3))
    def somebody_withdraws(self, back: int) -> None:
        alive = list(Command.objects.filter(terminal_id=self.id, state__in=OPEN).order_by("-created_at"))
        if back < len(alive):
            counted["withdrawals"] += commands.cancel(alive[back].pk, "user:1")

    @rule()
    def the_worker_works(self) -> None:
        delivery.sweep()
        lives.sweep()
        seen.copy()

    @rule(plan=faults)
    def the_terminal_makes_a_round(self, plan: list[Fault]) -> None:
        self.round(plan)

    @rule()
    def all_goes_well(self) -> None:
        delivery.sweep()
        self.round([])
        self.round([])

    @rule(plan=faults)
    def all_goes_its_way(self, plan: list[Fault]) -> None:
        delivery.sweep()
        self.round(plan)
        self.round([])

    # No preconditions: what is drawn must not depend on what the two sides made of it.
    @rule(which=st.integers(0, 9))
    def something_arrives_late(self, which: int) -> None:
        if self.line.under_way:
            counted["late arrivals"] += 1
            self.line.arrive(which)

    @rule(after=st.integers(0, 24), plan=faults)
    def the_power_fails(self, after: int, plan: list[Fault]) -> None:
        passed = itertools.count()

        def cut(point: str) -> None:
            if next(passed) == after:
                failpoints.hook = None
                cut_at[point] += 1
                raise failpoints.PowerCut(point)

        delivery.sweep()
        failpoints.hook = cut
        try:
            self.round(plan)
            self.round([])
        except failpoints.PowerCut:
            counted["power cuts"] += 1
        finally:
            failpoints.hook = None
        self.start_machine()

    @rule(busy=st.booleans())
    def a_sale_begins_or_ends(self, busy: bool) -> None:
        self.till.set_busy(busy)

    @rule(number=st.sampled_from(NUMBERS))
    def somebody_signs_on(self, number: str) -> None:
        self.till.sign_on(number, self.in_force(number))

    @rule(number=st.sampled_from(NUMBERS))
    def somebody_chooses(self, number: str) -> None:
        password, reset = fresh_password(), self.till.store.load().operators[number].reset
        if reset and not self.till.choose(number, password):
            counted["choices"] += 1
            self.chosen[reset.cid] = password

    @rule(which=st.sampled_from(("sign", "both")))
    def the_terminal_rolls_its_keys(self, which: str) -> None:
        counted["key rolls"] += 1
        self.till.alter(roll_wanted=which)

    @rule(plan=faults)
    def the_terminal_is_paired_again(self, plan: list[Fault]) -> None:
        if self.row.state != Terminal.State.ACTIVE:
            return
        counted["pairings"] += 1
        self.line.plan = list(plan)
        self.pair()
        self.line.plan = []

    @rule()
    def the_terminal_gives_up_a_roll(self) -> None:
        """Against the rule, but such firmware exists: nothing that is still under way may shut it out."""
        if self.may_give_up_a_roll():
            counted["rolls given up"] += 1
            self.till.alter(rolling=None, roll_wanted="")

    @rule(number=st.sampled_from(NUMBERS))
    def the_terminal_is_reported_lost_and_found(self, number: str) -> None:
        before = set(self.accepted())
        if stopping.quarantine(self.row, "user:2", "lost"):
            counted["quarantines"] += 1
            self.somebody_resets_a_password(number, choose=True)
            delivery.sweep()
            self.round([])
            served = CommandToken.objects.filter(jti__in=set(self.accepted()) - before)
            kinds = set(served.values_list("command__kind", flat=True))
            assert kinds <= {LOCK}, "a terminal that was stopped was served"
            stopping.release(self.row, "user:2", "found")

    @rule()
    def redis_is_wiped(self) -> None:
        inbox.client().flushall()

    @rule()
    def the_server_is_backed_up(self) -> None:
        self.saved = backup.take(self.id)

    @rule(wiped=st.booleans())
    def the_server_is_restored(self, wiped: bool) -> None:
        if self.saved is None or not self.saved_key_is_current():
            return
        counted["restores"] += 1
        self.rewound |= set(self.carried_out())
        self.learn_tokens()
        backup.restore(self.saved)
        self.saved = None
        # Whoever restores a database restarts what stands on it; Redis may be old or empty.
        inbox.client().flushall() if wiped else inbox.client().delete(inbox.GENERATION)
        inbox.evict(self.id)

    @rule(seconds=st.sampled_from((1, 10, 61, 400, 3700, 90_000)))
    def time_passes(self, seconds: int) -> None:
        self.traveller.shift(seconds)

    # --- what always holds ----------------------------------------------------------------------------------

    @invariant()
    def numbers_only_rise(self) -> None:
        counted["steps"] += 1
        accepted, highest = self.accepted(), dict[str, int]()
        if not self.tokens.keys() >= set(accepted):
            self.learn_tokens()
        for jti in accepted:
            jkt, seq = self.tokens[jti]
            assert seq > highest.get(jkt, 0), "a sequence number was used twice or went back"
            highest[jkt] = seq

    @invariant()
    def the_password_in_force_is_of_the_newest_command_carried_out(self) -> None:
        for number in NUMBERS:
            hashed = self.till.store.load().operators[number].hashes[0]
            assert self.till.passwords.matches(self.in_force(number), hashed)

    # --- knowledge ------------------------------------------------------------------------------------------

    def learn_tokens(self) -> None:
        """Which numbers were given out, for which key; a server that is put back forgets it."""
        issued = CommandToken.objects.filter(command__terminal_id=self.id)
        self.tokens |= {jti: (jkt, seq) for jti, jkt, seq in issued.values_list("jti", "jkt", "seq")}

    def may_give_up_a_roll(self) -> bool:
        """Whether the new key was not used: the server does not know it as the key in force, nor will it."""
        state = self.till.store.load()
        if state.rolling is None or any(each.path.startswith("commands") for each in self.line.under_way):
            return False
        return jose.kid16(state.sign_key) == self.row.sign_kid

    def saved_key_is_current(self) -> bool:
        """A backup from before a change of keys is a matter for pairing anew, not for sequence numbers."""
        saved = self.saved
        return saved is not None and Terminal.objects.filter(pk=self.id, sign_kid=saved.sign_kid).exists()

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

    # --- in the end -----------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Everything is mended and everybody waits; then nothing may be left open, and both sides agree."""
        try:
            self.settle()
            done = self.carried_out()
            agreement.both_sides_agree(self.id, done, self.rewound)
            agreement.newest_wins(self.issued, done)
            agreement.nothing_counts_twice(self.id)
        finally:
            failpoints.hook = None
            self.server.close()
            self.travel.stop()
            inbox.client().flushall()
            backup.empty()
            shutil.rmtree(self.folder, ignore_errors=True)

    def settle(self) -> None:
        self.till.set_busy(False)
        for turn in range(EVENTUALLY):
            while self.line.under_way:
                self.line.arrive(0)
            self.the_worker_works()
            state = self.till.store.load()
            assert turn < PATIENCE or state.trouble != "invalid_auth", f"locked out: {self.what_is_open()}"
            if state.status != "active":
                self.pair()
            self.round([])
            self.traveller.shift(61 if turn < PATIENCE else 3600)
            if self.quiet():
                return
        raise AssertionError(f"still open: {self.what_is_open()}")

    def what_is_open(self) -> dict[str, Any]:
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
        state = self.till.store.load()
        return not (self.open_commands().exists() or state.outbox or state.rolling or state.roll_wanted)

    def open_commands(self) -> Any:
        return Command.objects.filter(terminal_id=self.id, state__in=OPEN).values_list(
            "kind", "state", "reason"
        )
